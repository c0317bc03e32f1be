/// A network address that tells all its protocols, such as `/ip4/192.168.1.7/tcp/4001/p2p/12D3…` (multiaddr specification).
///
/// Every value is well-formed: both forms parse again to the same address. It need not make sense as an address to dial.
public struct Multiaddr: Hashable, Sendable {
    /// The binary form, at most `maximumByteCount` where it was parsed.
    public let bytes: [UInt8]

    /// Bytes of the binary form at most. A relayed WebTransport address with two RSA peer ids has about 250.
    public static let maximumByteCount = 1_024
    /// Bytes of a text at most; escapes and encodings make texts longer than their bytes.
    public static let maximumTextByteCount = 4_096

    private init(uncheckedBytes: [UInt8]) { bytes = uncheckedBytes }

    public func hash(into hasher: inout Hasher) { bytes.withUnsafeBytes { $0.hashWords(into: &hasher) } }
    public static func == (a: Multiaddr, b: Multiaddr) -> Bool { a.bytes.hasEqualBytes(b.bytes) }

    /// Reads the text form; accepts slashes at the end, as go does.
    public init(_ text: String) throws(MultiaddrError) {
        var output: [UInt8] = []
        for component in try MultiaddrText.components(of: text) { component.append(to: &output) }
        guard output.count <= Self.maximumByteCount else { throw .tooLong(count: output.count, limit: Self.maximumByteCount) }
        bytes = output
    }

    /// Reads the binary form.
    public init(bytes: [UInt8]) throws(MultiaddrError) {
        try bytes.withView { view throws(MultiaddrError) in try Self.check(view) }
        self.bytes = bytes
    }

    package init(bytes view: UnsafeRawBufferPointer) throws(MultiaddrError) {
        try Self.check(view)
        bytes = [UInt8](view)
    }

    /// nil when there are no components. Precondition for strings in them: what parsing accepts.
    package init?(_ components: [Component]) {
        guard !components.isEmpty else { return nil }
        var output: [UInt8] = []
        for component in components { component.append(to: &output) }
        bytes = output
    }

    /// `/ip4/…/tcp/…` or `/ip6/…/tcp/…`; nil unless `ip` has 4 or 16 bytes.
    package init?(ip: [UInt8], tcpPort: UInt16, zone: String? = nil) {
        switch ip.count {
        case 4: self.init([.ip4(ip), .tcp(tcpPort)])
        case 16: self.init((zone.map { [.ip6zone($0)] } ?? []) + [.ip6(ip), .tcp(tcpPort)])
        default: return nil
        }
    }

    /// The components in order; never empty. Takes time in proportion to the length.
    public var components: [Component] {
        bytes.withView { view in
            var reader = ByteReader(view), components: [Component] = []
            while !reader.isAtEnd, let component = try? Component(reading: &reader) { components.append(component) }
            return components
        }
    }

    /// The last `/p2p/…`: the peer that the address leads to.
    public var peerID: PeerID? {
        bytes.withView { view in lastPeer(in: view).flatMap { try? PeerID(multihash: $0.value) } }
    }

    /// The last `/p2p/…` and its value. Without making the components, since every dial and every event asks.
    private func lastPeer(in view: UnsafeRawBufferPointer) -> (place: Range<Int>, value: UnsafeRawBufferPointer)? {
        var reader = ByteReader(view), last: (place: Range<Int>, value: UnsafeRawBufferPointer)?
        while !reader.isAtEnd {
            let start = reader.offset
            guard let (kind, value) = try? Component.next(in: &reader) else { return last }
            if kind == .p2p { last = (start..<reader.offset, value) }
        }
        return last
    }

    /// This address with the other one behind it. Behind `/unix/…` nothing can be appended that a text could tell apart.
    public func appending(_ other: Multiaddr) -> Multiaddr { Multiaddr(uncheckedBytes: bytes + other.bytes) }

    public func appending(_ peer: PeerID) -> Multiaddr {
        var output = bytes
        Component.p2p(peer).append(to: &output)
        return Multiaddr(uncheckedBytes: output)
    }

    /// Without the last occurrence of `other` and everything behind it; nil when nothing is left; itself when `other` does not occur.
    public func decapsulating(_ other: Multiaddr) -> Multiaddr? {
        let own = components, part = other.components
        guard own.count >= part.count else { return self }
        for start in stride(from: own.count - part.count, through: 0, by: -1) where own[start..<start + part.count].elementsEqual(part) {
            return Multiaddr(Array(own[..<start]))
        }
        return self
    }

    /// Without a `/p2p/…` at its very end; nil when nothing is left.
    public var withoutPeerID: Multiaddr? {
        bytes.withView { view in
            guard let place = lastPeer(in: view)?.place, place.upperBound == view.count else { return self }
            return place.lowerBound == 0 ? nil : Multiaddr(uncheckedBytes: Array(view[..<place.lowerBound]))
        }
    }

    private static func check(_ view: UnsafeRawBufferPointer) throws(MultiaddrError) {
        if view.isEmpty { throw .empty }
        guard view.count <= maximumByteCount else { throw .tooLong(count: view.count, limit: maximumByteCount) }
        var reader = ByteReader(view)
        while !reader.isAtEnd {
            let component = try Component(reading: &reader)
            if case .unix = component, !reader.isAtEnd { throw .behindUnixPath }
        }
    }
}

extension Multiaddr: CustomStringConvertible {
    /// The canonical text.
    public var description: String {
        var text = ""
        for component in components { component.append(to: &text) }
        return text
    }
}
