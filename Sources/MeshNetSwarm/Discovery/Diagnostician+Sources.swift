import MeshNetProtocol

// What the sources say of themselves: which of them does not work, and whether multicast carries anything.
extension Diagnostician {
    mutating func judgeSources() {
        for status in facts.table.sources {
            guard case .failed(let failure, let retryAfter) = status.state, status.source != .mdns, !isSpare(status, failure) else { continue }
            let again = retryAfter.map { "; next try in \(DiagnosisWords.time($0))" } ?? ""
            let evidence = "\(DiagnosisWords.name(status.source)): \(failure.detail)\(again)"
            let (rank, cause) = Self.verdict(failure.kind, of: status.source)
            add(rank, cause, evidence, failure.hint)
        }
    }

    /// Where our own responder works nobody needs Avahi.
    private func isSpare(_ status: SourceStatus, _ failure: SourceFailure) -> Bool {
        status.source == .avahi && failure.kind == .notAvailable && facts.status(of: .mdns) != nil
    }

    private static func verdict(_ kind: SourceFailureKind, of source: DiscoverySource) -> (Rank, DiagnosisCause) {
        let isControl = source == .headscale || source == .tailscale
        return switch kind {
        case .unauthorized: (.controlKey, .controlKeyRefused)
        case .keyExpired: (.controlKey, .controlKeyExpired)
        case .wrongKeyKind: (.controlKey, .controlKeyWrongKind)
        case .clockOff: (.clock, .clockOff)
        case .noInterface: (.noInterface, .noMulticastInterface)
        case .unresolved: (.controlServer, .unresolved)
        case .limitReached: (.source, .limitReached)
        case .notAvailable, .unreachable, .serverError, .timedOut: isControl ? (.controlServer, .controlServerDown) : (.source, .sourceFailed)
        case .portInUse, .permission, .badConfiguration, .badAnswer, .insecure, .system: (.source, .sourceFailed)
        }
    }

    /// Only where mDNS could have told of the target and did not.
    mutating func judgeMulticast() {
        guard facts.modes.contains(.mdns) else { return }
        let isHeard = facts.entries.contains { $0.source == .mdns || $0.source == .avahi }
        guard !isHeard, !(facts.target.isWholeNode && facts.connectedPeers > 0), let status = facts.status(of: .mdns) else { return }
        judgeOtherAnnouncements()
        let outward = status.interfaces.filter { $0.name != "lo" }
        let working = outward.filter { $0.failure == nil }
        if working.isEmpty {
            let failures = outward.compactMap { interface in interface.failure.map { "\(interface.name): \($0.detail)" } }
            let why = failures.isEmpty ? "no interface besides the loopback is up and can multicast" : failures.joined(separator: "; ")
            let hint = outward.lazy.compactMap(\.failure?.hint).first ?? "Bring the network up (ip link), or allow an interface."
            // There is one, and this machine does not let us use it.
            let isBlocked = outward.contains { $0.failure?.kind == .permission }
            return add(.noInterface, isBlocked ? .nothingHeard : .noMulticastInterface, why, hint)
        }
        let sent = working.reduce(0) { $0 + $1.sent }, heard = working.reduce(0) { $0 + $1.heard }
        let names = working.prefix(4).map { "\($0.name) (\($0.sent) sent, \($0.heard) heard)" }.joined(separator: ", ")
        if sent > 0, heard == 0 {
            add(.nothingHeard, .nothingHeard, "mDNS hears nobody since \(DiagnosisWords.time(facts.runsSince)): \(names)",
                "Multicast is blocked, or nobody is there: let UDP port 5353 in (ufw allow 5353/udp) on both hosts, check multicast on the switch or "
                    + "access point, or name a bootstrap peer. In another subnet it is never heard.")
        }
    }

    /// Announcements that were heard and are not for us. Theirs may be among them: an app id or a tag hides the peer.
    private mutating func judgeOtherAnnouncements() {
        for reason in [DiscoveryFilter.appID, .serviceTag] {
            let counts = [DiscoverySource.mdns, .avahi].compactMap { facts.status(of: $0)?.filtered[reason] }.reduce(0, +)
            guard counts > 0 else { continue }
            let names = facts.refusals.filter { $0.reason == reason }.suffix(3).map(\.what.quoted).joined(separator: ", ")
            let which = names.isEmpty ? "" : ": \(names)"
            if reason == .appID {
                add(.filteredOthers, .filteredAppID, "\(counts) announcements heard with another app id than ours\(which)", "Give both nodes the same app id, or none.")
            } else {
                add(.filteredOthers, .filteredServiceTag, "\(counts) announcements heard under another service tag\(which)",
                    "Give both nodes the same service tag, network and secret: a private network has a tag of its own.")
            }
        }
    }
}
