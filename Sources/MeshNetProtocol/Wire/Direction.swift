/// Who opened a connection: the peer (`inbound`) or this node (`outbound`).
public enum Direction: UInt8, Sendable { case inbound, outbound }
