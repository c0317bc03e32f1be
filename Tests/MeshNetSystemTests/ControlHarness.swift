import Foundation
@testable import MeshNetProtocol
@testable import MeshNetSwarm
@testable import MeshNetSystem
import Testing

/// 2026-06-01T00:00:00Z, when the fixtures are read.
let fixtureTime: Int64 = 1_780_272_000

/// Answers of control servers, shared with the server in Python.
func fixture(_ name: String) throws -> [UInt8] {
    let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("control/fixtures")
    return Array(try Data(contentsOf: folder.appendingPathComponent(name + ".json")))
}

/// Drives a machine by hand.
struct ControlHarness<Machine: ControlMachine> {
    var machine: Machine
    var now = Instant.zero
    var surroundings = ControlSurroundings(wallClock: fixtureTime)
    private(set) var reports: [SourceReport] = []
    private(set) var requests: [HTTPRequest] = []

    init(_ machine: Machine) {
        self.machine = machine
        drain()
    }

    /// Waits for the machine's deadline, and gives the request that it makes then.
    mutating func nextRequest() -> HTTPRequest? {
        guard let deadline = machine.deadline else { return nil }
        now = max(now, deadline)
        machine.handleTimeout(surroundings, now: now)
        let count = requests.count
        drain()
        return requests.count == count + 1 ? requests.last : nil
    }

    /// The request that follows the answer, if any.
    @discardableResult
    mutating func answer(_ result: Result<HTTPResponse, HTTPFailure>) -> HTTPRequest? {
        reports.removeAll()
        let count = requests.count
        machine.receive(result, surroundings, now: now)
        drain()
        return requests.count == count + 1 ? requests.last : nil
    }

    @discardableResult
    mutating func answer(_ status: Int, _ body: String, type: String = "application/json", retryAfter: Duration? = nil, date: Int64? = nil) -> HTTPRequest? {
        answer(.success(HTTPResponse(status: status, contentType: type, date: date, retryAfter: retryAfter, body: Array(body.utf8))))
    }

    @discardableResult
    mutating func answer(fixture name: String) throws -> HTTPRequest? {
        answer(.success(HTTPResponse(status: 200, contentType: "application/json", body: try fixture(name))))
    }

    /// The delay until the machine wants to ask again; nil: never.
    var delay: Duration? { machine.deadline.map { $0 - now } }

    var candidates: [Candidate]? {
        for case .replaced(let candidates) in reports { return candidates }
        return nil
    }

    var failure: SourceFailure? {
        for case .failed(let failure, _) in reports { return failure }
        return nil
    }

    var retryAfter: Duration? {
        for case .failed(_, let delay) in reports { return delay }
        return nil
    }

    /// What was filtered, by name.
    var filtered: [String: DiscoveryFilter] {
        var found: [String: DiscoveryFilter] = [:]
        for case .filtered(let reason, let what, _) in reports { found[what] = reason }
        return found
    }

    private mutating func drain() {
        while let action = machine.poll() {
            switch action {
            case .report(let report): reports.append(report)
            case .request(let request): requests.append(request)
            }
        }
    }
}

extension Candidate {
    var texts: [String] { addresses.map(\.description) }
}
