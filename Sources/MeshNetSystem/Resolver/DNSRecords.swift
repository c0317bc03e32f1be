import CSystem
import Glibc
package import MeshNetSwarm

/// What is asked about a name.
package enum DNSRecordKind: Sendable, Equatable {
    /// A and AAAA, and /etc/hosts.
    case addresses
    /// SRV (RFC 2782).
    case service
    case text
}

/// What a name server answered, at most `Resolver.maximumRecords`.
package enum DNSRecords: Sendable, Equatable {
    /// Ports are 0. Each once.
    case addresses([SocketAddress])
    /// In the order of the answer.
    case services([DNSServiceTarget])
    /// The strings of one record joined, as dnsaddr wants it.
    case texts([[UInt8]])
}

package struct DNSServiceTarget: Sendable, Equatable {
    package var host: String
    package var port: UInt16
    /// Smaller ones first.
    package var priority: UInt16
    /// Larger ones first.
    package var weight: UInt16
}

/// Why a lookup gave nothing, in the resolver's words.
package struct DNSLookupFailure: Error, Sendable, Equatable {
    /// `unresolved`: the name server says that there is nothing.
    package let kind: SourceFailureKind
    package let reason: String

    package init(_ kind: SourceFailureKind, _ reason: String) {
        self.kind = kind
        self.reason = reason
    }
}

// Reading of c-ares' answers. Its parsers check the bytes; the lists that they make are as long as the answer has records.
extension DNSRecords {
    static func addresses(of info: UnsafeMutablePointer<ares_addrinfo>?) -> Result<DNSRecords, DNSLookupFailure> {
        var addresses: [SocketAddress] = [], seen: Set<SocketAddress> = []
        var node = info?.pointee.nodes
        while let entry = node?.pointee, addresses.count < Resolver.maximumRecords {
            node = entry.ai_next
            guard var address = NativeAddress(copying: entry.ai_addr)?.address else { continue }
            address.port = 0
            if seen.insert(address).inserted { addresses.append(address) }
        }
        return addresses.isEmpty ? .failure(Resolver.failure(ARES_ENODATA)) : .success(.addresses(addresses))
    }

    static func services(of bytes: UnsafePointer<UInt8>, _ count: Int32) -> Result<DNSRecords, DNSLookupFailure> {
        var first: UnsafeMutablePointer<ares_srv_reply>?
        let status = ares_parse_srv_reply(bytes, count, &first)
        defer { if let first { ares_free_data(first) } }
        guard status == ARES_SUCCESS else { return .failure(Resolver.recordFailure(status)) }
        var targets: [DNSServiceTarget] = [], node = first
        while let entry = node?.pointee, targets.count < Resolver.maximumRecords {
            node = entry.next
            guard let host = entry.host else { continue }
            targets.append(DNSServiceTarget(host: String(cString: host), port: entry.port, priority: entry.priority, weight: entry.weight))
        }
        return targets.isEmpty ? .failure(Resolver.recordFailure(ARES_ENODATA)) : .success(.services(targets))
    }

    static func texts(of bytes: UnsafePointer<UInt8>, _ count: Int32) -> Result<DNSRecords, DNSLookupFailure> {
        var first: UnsafeMutablePointer<ares_txt_ext>?
        let status = ares_parse_txt_reply_ext(bytes, count, &first)
        defer { if let first { ares_free_data(first) } }
        guard status == ARES_SUCCESS else { return .failure(Resolver.recordFailure(status)) }
        var texts: [[UInt8]] = [], node = first
        while let entry = node?.pointee {
            node = entry.next
            let piece = UnsafeBufferPointer(start: entry.txt, count: entry.length)
            if entry.record_start != 0 || texts.isEmpty {
                guard texts.count < Resolver.maximumRecords else { break }
                texts.append(Array(piece))
            } else {
                texts[texts.count - 1] += piece
            }
        }
        return texts.isEmpty ? .failure(Resolver.recordFailure(ARES_ENODATA)) : .success(.texts(texts))
    }
}
