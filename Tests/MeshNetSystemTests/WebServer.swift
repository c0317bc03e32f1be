import CSystem
import Foundation
@testable import MeshNetSwarm
@testable import MeshNetSystem
import Synchronization

/// A server of HTTP/1.1 on the loopback or at a path, one thread for each connection. What it answers is the test's.
final class WebServer: Sendable {
    struct Request: Sendable {
        /// Everything up to the empty line.
        let head: String
        let body: String
        /// Of its connection, from 1.
        let connection: Int
        var path: String { head.split(separator: " ").dropFirst().first.map(String.init) ?? "" }
        func header(_ name: String) -> String? {
            head.split(separator: "\r\n").first { $0.lowercased().hasPrefix(name.lowercased() + ":") }
                .map { $0.dropFirst(name.count + 1).trimmingCharacters(in: .whitespaces) }
        }
    }

    /// Sends bytes; false when the other end is gone.
    typealias Send = @Sendable ([UInt8]) -> Bool

    let port: UInt16
    private let socket: Descriptor
    private let seen = Mutex<(requests: [Request], connections: Int)>(([], 0))

    var requests: [Request] { seen.withLock { $0.requests } }
    var connections: Int { seen.withLock { $0.connections } }

    /// - Parameter answer: false closes the connection.
    init?(path: String? = nil, _ answer: @escaping @Sendable (Request, Send) -> Bool) {
        let number = Glibc.socket(path == nil ? AF_INET : AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        guard number >= 0 else { return nil }
        socket = Descriptor(owning: number)
        guard path.map({ Self.bindUnix(number, $0) }) ?? Self.bindLoopback(number), listen(number, 8) == 0 else { return nil }
        port = path == nil ? Socket.localAddress(number)?.port ?? 0 : 0
        // It keeps the socket open, so that its number cannot become that of another server meanwhile.
        Thread { [weak self, socket] in
            while true {
                let accepted = accept(socket.number, nil, nil)
                guard accepted >= 0 else { return }
                guard let self else { _ = close(accepted); return }
                let connection = self.seen.withLock { $0.connections += 1; return $0.connections }
                Thread { [weak self] in
                    Self.serve(accepted, connection) { request, send in
                        self?.seen.withLock { $0.requests.append(request) }
                        return answer(request, send)
                    }
                    close(accepted)
                }.start()
            }
        }.start()
    }

    /// Ends the thread that accepts.
    deinit { shutdown(socket.number, Int32(SHUT_RDWR)) }

    static func response(_ status: Int, _ body: String, type: String = "application/json", headers: [String] = []) -> [UInt8] {
        let lines = ["HTTP/1.1 \(status) Words", "Content-Type: \(type)", "Content-Length: \(body.utf8.count)"] + headers
        return Array((lines.joined(separator: "\r\n") + "\r\n\r\n" + body).utf8)
    }

    private static func serve(_ socket: Int32, _ connection: Int, _ answer: (Request, Send) -> Bool) {
        var received = Data(), buffer = [UInt8](repeating: 0, count: 4_096)
        while true {
            if let end = received.range(of: Data("\r\n\r\n".utf8)) {
                let head = String(decoding: received[..<end.lowerBound], as: UTF8.self)
                var request = Request(head: head, body: "", connection: connection)
                let length = request.header("content-length").flatMap { Int($0) } ?? 0
                if received.distance(from: end.upperBound, to: received.endIndex) >= length {
                    let last = received.index(end.upperBound, offsetBy: length)
                    request = Request(head: head, body: String(decoding: received[end.upperBound..<last], as: UTF8.self), connection: connection)
                    received = Data(received[last...])
                    guard answer(request, { Self.send(socket, $0) }) else { return }
                    continue
                }
            }
            let count = recv(socket, &buffer, buffer.count, 0)
            guard count > 0 else { return }
            received.append(contentsOf: buffer[..<count])
        }
    }

    private static func send(_ socket: Int32, _ bytes: [UInt8]) -> Bool {
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes { Glibc.send(socket, $0.baseAddress! + done, $0.count - done, Int32(MSG_NOSIGNAL)) }
            guard count > 0 else { return false }
            done += count
        }
        return true
    }

    private static func bindLoopback(_ socket: Int32) -> Bool {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        } == 0
    }

    private static func bindUnix(_ socket: Int32, _ path: String) -> Bool {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        guard path.utf8.count < MemoryLayout.size(ofValue: address.sun_path) else { return false }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(socket, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
        } == 0
    }
}
