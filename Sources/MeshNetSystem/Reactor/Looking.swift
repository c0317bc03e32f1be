import MeshNetProtocol

/// Whether a caller that waits looks for what comes a little while, before it sleeps.
///
/// Waking an idle processor takes longer than all else in a short round trip. So who was answered quickly several times in a row looks, for no longer than
/// those waits lasted. A look in vain costs `longest` of a processor, and several quick waits must follow before the next one; a processor that others want
/// is left to them at once. Who waits for something rare never looks.
struct Looking {
    /// The longest look: some round trips between two processes of one machine.
    static let longest: Duration = .microseconds(200)
    /// The longest look for the next message of a handshake within this host: what a peer computes, on a processor that is shared.
    static let longestInHandshake: Duration = .microseconds(400)
    /// A wait that ended within this was a quick one, with a processor to be woken on each side.
    static let quick: Duration = .microseconds(400)
    /// Who is away for so long in a yield shares the processor with somebody that has work.
    static let disturbance: Duration = .microseconds(20)
    /// Quick waits in a row until the first look.
    static let needed = 4
    private static let most = 2 * needed

    private var credit = 0

    var isWorthwhile: Bool { credit >= Self.needed }

    /// A wait ended, with or without a look, after so long.
    mutating func waited(_ time: Duration) {
        credit = time <= (isWorthwhile ? Self.longest : Self.quick) ? min(credit + 1, Self.most) : max(credit - Self.needed, 0)
    }

    mutating func disturbed() { credit = 0 }
}
