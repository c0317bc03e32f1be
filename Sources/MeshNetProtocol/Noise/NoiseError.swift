/// Why a Noise handshake or a secure channel ended. Every case ends the connection.
public enum NoiseError: Error, Equatable, Sendable {
    /// A handshake message shorter than its fixed parts. `message` counts from 0.
    case messageTooShort(message: Int, needed: Int, available: Int)
    /// A message longer than a frame can be.
    case messageTooLong(count: Int, limit: Int)
    /// A message that is not this side's turn to read, or that follows the end or the failure of the handshake.
    case unexpectedMessage
    /// A key or payload of handshake message `message` (from 0) that was not sealed with the shared keys.
    case handshakeNotAuthentic(message: Int)
    /// A public key whose shared secret is zero whatever ours is (a point of low order).
    case weakKey(message: Int)
    /// The handshake payload is no protobuf of the right shape.
    case invalidPayload(WireError)
    /// The identity key in the payload is none that this node can read.
    case invalidIdentityKey(PublicKeyError)
    /// The signature does not bind the Noise key to the identity that was claimed.
    case invalidSignature(claimed: PeerID)
    /// Another peer answered than the one that was dialled.
    case wrongPeer(expected: PeerID, actual: PeerID)
    /// More muxers in the extension than are read.
    case tooManyMuxers(limit: Int)
    /// A muxer name in the extension longer than is read, in bytes.
    case muxerNameTooLong(count: Int, limit: Int)
    /// A frame too short to hold a tag.
    case frameTooShort(count: Int)
    /// A frame that was not sealed with the key and at the place in the order that this side expects.
    case frameNotAuthentic(nonce: UInt64)
    /// 2^64 - 1 frames went in one direction (Noise specification, section 5.1): reconnect for new keys.
    case nonceExhausted
    /// libcrypto refused to work, for example for want of memory.
    case cryptographyUnavailable
}
