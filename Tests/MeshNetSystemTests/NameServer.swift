import CSystem
import Foundation
@testable import MeshNetSwarm
@testable import MeshNetSystem
import Synchronization

/// A name server on the loopback that knows a handful of names.
final class NameServer: Sendable {
    private let socket: Descriptor
    let port: UInt16
    private let queries = Atomic(0)

    /// "address:port" as the resolver takes it.
    var text: String { "127.0.0.1:\(port)" }
    var queryCount: Int { queries.load(ordering: .relaxed) }

    init?() {
        let number = Glibc.socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        guard number >= 0 else { return nil }
        let socket = Descriptor(owning: number)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
        let size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafePointer(to: &address) { $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(number, $0, size) } }
        guard bound == 0, let local = Socket.localAddress(number) else { return nil }
        self.socket = socket
        port = local.port
        Thread { [weak self] in
            var packet = [UInt8](repeating: 0, count: 512)
            while true {
                var from = sockaddr_storage(), length = socklen_t(MemoryLayout<sockaddr_storage>.size)
                let count = withUnsafeMutablePointer(to: &from) { pointer in
                    pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { recvfrom(socket.number, &packet, packet.count, 0, $0, &length) }
                }
                guard count > 12, let self else { return }
                self.queries.wrappingAdd(1, ordering: .relaxed)
                guard let answer = Self.answer(Array(packet[..<count])) else { continue }
                _ = withUnsafePointer(to: &from) { pointer in
                    pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { sendto(socket.number, answer, answer.count, 0, $0, length) }
                }
            }
        }.start()
    }

    /// Ends the thread: it waits for one more packet.
    deinit { shutdown(socket.number, Int32(SHUT_RDWR)) }

    /// RFC 1035 §4.1, one question; nil for silence.
    private static func answer(_ query: [UInt8]) -> [UInt8]? {
        var labels: [String] = [], index = 12
        while query[index] != 0 {
            let length = Int(query[index])
            labels.append(String(decoding: query[index + 1..<index + 1 + length], as: UTF8.self))
            index += length + 1
        }
        let type = query[index + 2], question = query[12..<index + 5]
        var records: [[UInt8]] = [], code: UInt8 = 0
        switch (labels.joined(separator: "."), type) {
        case ("silent.test", _): return nil
        case ("many.test", 1): records = [[192, 0, 2, 1], [192, 0, 2, 2]]
        case ("many.test", 28): records = [[0x20, 1, 0xd, 0xb8] + [UInt8](repeating: 0, count: 11) + [7]]
        case ("four.test", 1): records = [[192, 0, 2, 4]]
        case ("many.test", _), ("four.test", _): break
        default: code = 3
        }
        var answer = Array(query[0..<2]) + [0x81, 0x80 | code, 0, 1, 0, UInt8(records.count), 0, 0, 0, 0] + question
        for record in records { answer += [0xc0, 12, 0, type, 0, 1, 0, 0, 0, 60, 0, UInt8(record.count)] + record }
        return answer
    }
}
