import CMeshNet

/// What a code of the C interface is called, means, and what to do about it. The one place for these texts: C, Python and the tests read them here.
struct ErrorRow {
    let code: meshnet_error
    let name: StaticString
    let meaning: StaticString
    let hint: StaticString

    private init(_ code: meshnet_error, _ name: StaticString, _ meaning: StaticString, _ hint: StaticString) {
        self.code = code
        self.name = name
        self.meaning = meaning
        self.hint = hint
    }

    static func find(_ code: Int32) -> ErrorRow? { all.first { $0.code.rawValue == code } }

    static let unknownMeaning: StaticString = "unknown code"
    static let none: StaticString = ""

    /// In the order of the header.
    static let all: [ErrorRow] = [
        ErrorRow(MESHNET_OK, "MESHNET_OK", "success", none),
    ] + arguments + endings + machine + reaching + messages + streams + channels

    private static let arguments: [ErrorRow] = [
        ErrorRow(MESHNET_ERROR_INVALID_ARGUMENT, "MESHNET_ERROR_INVALID_ARGUMENT",
                 "an argument is NULL or out of range", "Pass a valid value for the argument that the detail names; see the function in meshnet.h."),
        ErrorRow(MESHNET_ERROR_INVALID_HANDLE, "MESHNET_ERROR_INVALID_HANDLE",
                 "not a handle of this kind, or one that was freed", "Use a handle from its constructor, and not after its _free function."),
        ErrorRow(MESHNET_ERROR_STRUCT_SIZE, "MESHNET_ERROR_STRUCT_SIZE",
                 "struct_size is not that of a known version",
                 "Initialise the struct by its _default function with sizeof; if you did, the library is older than the header."),
        ErrorRow(MESHNET_ERROR_INVALID_ADDRESS, "MESHNET_ERROR_INVALID_ADDRESS",
                 "not a multiaddr that can be used here", "Write it like /ip4/192.0.2.1/tcp/4001 or /dns4/host.example/tcp/4001."),
        ErrorRow(MESHNET_ERROR_INVALID_PEER_ID, "MESHNET_ERROR_INVALID_PEER_ID",
                 "not a peer id", "Pass the text of a peer id, such as the one that begins with 12D3KooW; it has no spaces."),
        ErrorRow(MESHNET_ERROR_INVALID_KEY, "MESHNET_ERROR_INVALID_KEY",
                 "not a key", "A secret has 32 bytes; a pre-shared key has 32 bytes or is the text of a swarm.key file."),
        ErrorRow(MESHNET_ERROR_INVALID_TOPIC, "MESHNET_ERROR_INVALID_TOPIC",
                 "not a topic name", "Use a name of 1 to 1,024 bytes of UTF-8."),
        ErrorRow(MESHNET_ERROR_INVALID_PROTOCOL, "MESHNET_ERROR_INVALID_PROTOCOL",
                 "not a protocol id", "Use an id that begins with a slash, such as /chat/1.0.0, without a line break; give at least one."),
        ErrorRow(MESHNET_ERROR_BUFFER_TOO_SMALL, "MESHNET_ERROR_BUFFER_TOO_SMALL",
                 "the buffer is too small", "Give a buffer of the size macro, such as MESHNET_PEER_ID_TEXT_SIZE."),
    ]

    private static let endings: [ErrorRow] = [
        ErrorRow(MESHNET_ERROR_CLOSED, "MESHNET_ERROR_CLOSED",
                 "the node is closed", "Open a new node. After fork() a child must open its own."),
        ErrorRow(MESHNET_ERROR_TIMED_OUT, "MESHNET_ERROR_TIMED_OUT",
                 "the time is over", "Try again, or allow more time."),
        ErrorRow(MESHNET_ERROR_CANCELLED, "MESHNET_ERROR_CANCELLED",
                 "the call was cancelled", "Nothing to do if you cancelled it; else call again."),
        ErrorRow(MESHNET_ERROR_BUSY, "MESHNET_ERROR_BUSY",
                 "another call uses this direction of the stream", "Wait for that call to end: one read and one write of a stream at a time."),
    ]

    private static let machine: [ErrorRow] = [
        ErrorRow(MESHNET_ERROR_NO_MEMORY, "MESHNET_ERROR_NO_MEMORY",
                 "out of memory", "Free events and lists that you no longer use, or lower the limits."),
        ErrorRow(MESHNET_ERROR_SYSTEM, "MESHNET_ERROR_SYSTEM",
                 "a system call failed", "See system_errno; EMFILE and ENFILE mean too few file descriptors (ulimit -n)."),
        ErrorRow(MESHNET_ERROR_KEY_FILE, "MESHNET_ERROR_KEY_FILE",
                 "the key file cannot be used",
                 "Check the path and its permissions. To make a new identity, generate a key pair and save it to a path that does not exist."),
        ErrorRow(MESHNET_ERROR_PORT_IN_USE, "MESHNET_ERROR_PORT_IN_USE",
                 "the port is in use", "Choose another port, 0 for any free one, or stop the program that has it (ss -ltnp shows it)."),
        ErrorRow(MESHNET_ERROR_LISTEN_FAILED, "MESHNET_ERROR_LISTEN_FAILED",
                 "cannot listen on the address", "Use an address of this machine; ports below 1024 need a privilege."),
        ErrorRow(MESHNET_ERROR_LIMIT_REACHED, "MESHNET_ERROR_LIMIT_REACHED",
                 "a limit is reached", "Close what you no longer use, or raise the limit that the detail names in meshnet_limits_t."),
    ]

    private static let reaching: [ErrorRow] = [
        ErrorRow(MESHNET_ERROR_REFUSED, "MESHNET_ERROR_REFUSED",
                 "nobody listens at the address", "Check that the peer runs and that the port is right."),
        ErrorRow(MESHNET_ERROR_UNREACHABLE, "MESHNET_ERROR_UNREACHABLE",
                 "the host cannot be reached", "Check the network, the route and the firewalls between the two machines."),
        ErrorRow(MESHNET_ERROR_UNRESOLVED, "MESHNET_ERROR_UNRESOLVED",
                 "the host name has no address", "Check the spelling of the name and the resolver (getent hosts NAME)."),
        ErrorRow(MESHNET_ERROR_UNSUPPORTED_ADDRESS, "MESHNET_ERROR_UNSUPPORTED_ADDRESS",
                 "no transport for this address", "Use a TCP address of the peer, such as /ip4/192.0.2.1/tcp/4001."),
        ErrorRow(MESHNET_ERROR_WRONG_PEER, "MESHNET_ERROR_WRONG_PEER",
                 "another peer answered at the address", "The peer has a new key, or another one has its address now: correct or drop the /p2p/ part."),
        ErrorRow(MESHNET_ERROR_SELF_DIAL, "MESHNET_ERROR_SELF_DIAL",
                 "the address is our own", "Leave the node's own address out of its bootstrap peers."),
        ErrorRow(MESHNET_ERROR_HANDSHAKE_FAILED, "MESHNET_ERROR_HANDSHAKE_FAILED",
                 "connected, but the handshake failed",
                 "Check that a libp2p node with Noise and yamux listens there, and that no proxy or firewall ends the connection."),
        ErrorRow(MESHNET_ERROR_NO_ADDRESSES, "MESHNET_ERROR_NO_ADDRESSES",
                 "no address of the peer is known", "Connect by a full address."),
        ErrorRow(MESHNET_ERROR_NOT_CONNECTED, "MESHNET_ERROR_NOT_CONNECTED",
                 "not connected with the peer", "Call meshnet_connect first, or wait for the event that says it is connected."),
        ErrorRow(MESHNET_ERROR_OTHER_NETWORK, "MESHNET_ERROR_OTHER_NETWORK",
                 "another network or secret", "Give both nodes the same network name and secret, or the same swarm.key, or neither of them any."),
    ]

    private static let messages: [ErrorRow] = [
        ErrorRow(MESHNET_ERROR_NO_PEERS_SUBSCRIBED, "MESHNET_ERROR_NO_PEERS_SUBSCRIBED",
                 "no connected peer follows the topic", "Wait for a subscription event of the topic, then publish again."),
        ErrorRow(MESHNET_ERROR_QUEUES_FULL, "MESHNET_ERROR_QUEUES_FULL",
                 "the queues of all peers are full", "Publish more slowly: wait a moment and try again."),
        ErrorRow(MESHNET_ERROR_MESSAGE_TOO_LARGE, "MESHNET_ERROR_MESSAGE_TOO_LARGE",
                 "the message is too large", "Send less at once, use a stream, or raise maximum_message_size on every node."),
        ErrorRow(MESHNET_ERROR_NOT_SUBSCRIBED, "MESHNET_ERROR_NOT_SUBSCRIBED",
                 "unknown topic", "Check the name of the topic; subscribe to it first, or wait until a peer follows it."),
        ErrorRow(MESHNET_ERROR_DUPLICATE_MESSAGE, "MESHNET_ERROR_DUPLICATE_MESSAGE",
                 "the same message was published before", "Add something that differs, such as a counter, or have the messages signed."),
    ]

    private static let streams: [ErrorRow] = [
        ErrorRow(MESHNET_ERROR_PROTOCOL_NOT_SUPPORTED, "MESHNET_ERROR_PROTOCOL_NOT_SUPPORTED",
                 "the peer speaks none of the protocols", "The peer must accept the protocol id first; compare the ids on both sides."),
        ErrorRow(MESHNET_ERROR_NO_SUCH_STREAM, "MESHNET_ERROR_NO_SUCH_STREAM",
                 "no such stream", "Do not use a stream after closing or resetting it."),
        ErrorRow(MESHNET_ERROR_STREAM_RESET, "MESHNET_ERROR_STREAM_RESET",
                 "the stream was reset", "The peer gave it up or the connection was lost: open a new stream."),
        ErrorRow(MESHNET_ERROR_STREAM_CLOSED, "MESHNET_ERROR_STREAM_CLOSED",
                 "the stream is closed for writing", "Write before meshnet_stream_close_write, or open a new stream."),
    ]

    private static let channels: [ErrorRow] = [
        ErrorRow(MESHNET_ERROR_EXPIRED, "MESHNET_ERROR_EXPIRED",
                 "the deadline of the message passed", "The peer may have got it all the same. Allow more time, or find out why the peer is not reached."),
        ErrorRow(MESHNET_ERROR_QUEUE_FULL, "MESHNET_ERROR_QUEUE_FULL",
                 "the queue of the peer is full", "Wait until messages are delivered, send with the policy that waits, or raise the bound of the queue."),
        ErrorRow(MESHNET_ERROR_DISPLACED, "MESHNET_ERROR_DISPLACED",
                 "a newer message took the place of this one", "Send more slowly, or with the policy that waits."),
        ErrorRow(MESHNET_ERROR_PEER_RESTARTED, "MESHNET_ERROR_PEER_RESTARTED",
                 "the peer came back without its state", "Send again what the peer still needs; give it a state directory to keep what it had."),
        ErrorRow(MESHNET_ERROR_PEER_CLOSED, "MESHNET_ERROR_PEER_CLOSED",
                 "the channel was closed on purpose", "Reconnect to the peer when you want it again."),
        ErrorRow(MESHNET_ERROR_GAVE_UP, "MESHNET_ERROR_GAVE_UP",
                 "the peer could not be reached", "See the detail for the last failure; reconnect to the peer to try again, or allow more attempts."),
        ErrorRow(MESHNET_ERROR_STORAGE, "MESHNET_ERROR_STORAGE",
                 "the state directory cannot be used", "Make room on the disk, or give each process a directory of its own; the detail tells which."),
    ]
}

extension StaticString {
    /// The text for C: static, ends with NUL.
    var cString: UnsafePointer<CChar> { UnsafeRawPointer(utf8Start).assumingMemoryBound(to: CChar.self) }
}
