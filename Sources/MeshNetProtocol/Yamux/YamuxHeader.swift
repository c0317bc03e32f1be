/// The 12 bytes in front of every yamux frame (libp2p specs, yamux, "Framing").
package struct YamuxHeader: Equatable, Sendable {
    package static let byteCount = 12

    package enum FrameType: UInt8, Sendable { case data, windowUpdate, ping, goAway }

    /// Undefined bits are kept as they are and mean nothing, as in go-yamux and rust-yamux.
    package struct Flags: OptionSet, Sendable {
        package let rawValue: UInt16
        package init(rawValue: UInt16) { self.rawValue = rawValue }
        package static let syn = Flags(rawValue: 1)
        package static let ack = Flags(rawValue: 2)
        package static let fin = Flags(rawValue: 4)
        package static let rst = Flags(rawValue: 8)
    }

    package var type: FrameType
    package var flags: Flags
    package var streamID: UInt32
    /// Data: bytes that follow. Window update: bytes more that may be sent, or with RST an error code. Ping: any value. Go away: a code.
    package var length: UInt32

    package init(_ type: FrameType, _ flags: Flags, stream: UInt32, length: UInt32) {
        self.type = type
        self.flags = flags
        streamID = stream
        self.length = length
    }

    /// Precondition: at least 12 bytes.
    package init(decoding bytes: UnsafeRawBufferPointer) throws(YamuxError) {
        precondition(bytes.count >= Self.byteCount, "a yamux header has 12 bytes")
        guard bytes[0] == 0 else { throw .unsupportedVersion(bytes[0]) }
        guard let type = FrameType(rawValue: bytes[1]) else { throw .unknownFrameType(bytes[1]) }
        self.init(
            type, Flags(rawValue: UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: 2, as: UInt16.self))),
            stream: UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self)),
            length: UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt32.self)))
    }

    /// Precondition: room for 12 bytes.
    package func encode(into output: UnsafeMutableRawBufferPointer) {
        precondition(output.count >= Self.byteCount, "a yamux header has 12 bytes")
        output[0] = 0
        output[1] = type.rawValue
        output.storeBytes(of: flags.rawValue.bigEndian, toByteOffset: 2, as: UInt16.self)
        output.storeBytes(of: streamID.bigEndian, toByteOffset: 4, as: UInt32.self)
        output.storeBytes(of: length.bigEndian, toByteOffset: 8, as: UInt32.self)
    }
}
