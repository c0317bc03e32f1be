import Testing
import TestSupport
@testable import MeshNetProtocol

@Suite struct LengthPrefixedFramesTests {
    /// Feeds `bytes` in pieces of `cut` bytes and returns all complete frames. `inPlace`: those that lie whole in a piece are taken where they lie.
    private func read(_ bytes: [UInt8], cut: Int, inPlace: Bool = false, into frames: inout LengthPrefixedFrames) throws(WireError) -> [[UInt8]] {
        var result: [[UInt8]] = []
        var offset = 0
        while offset < bytes.count {
            let piece = Array(bytes[offset..<min(offset + cut, bytes.count)])
            offset += piece.count
            let read = piece.withUnsafeBytes { buffer -> Result<[[UInt8]], WireError> in
                var view = buffer
                var found: [[UInt8]] = []
                do throws(WireError) {
                    while true {
                        if inPlace, let frame = frames.nextInPlace(&view) {
                            found.append([UInt8](frame))
                        } else if let frame = try frames.next(&view) {
                            found.append(frame)
                        } else {
                            break
                        }
                    }
                } catch { return .failure(error) }
                return .success(found)
            }
            result += try read.get()
        }
        return result
    }

    @Test(arguments: [1, 2, 3, 7, 1_000])
    func framesDoNotDependOnHowTheyAreCut(cut: Int) throws {
        let payloads: [[UInt8]] = [[], [1], [UInt8](repeating: 7, count: 127), [UInt8](repeating: 8, count: 128), [UInt8](repeating: 9, count: 5_000), []]
        var stream: [UInt8] = []
        for payload in payloads {
            Varint.append(UInt64(payload.count), to: &stream)
            stream += payload
        }
        for inPlace in [false, true] {
            var frames = LengthPrefixedFrames(limit: 5_000)
            #expect(try read(stream, cut: cut, inPlace: inPlace, into: &frames) == payloads)
            #expect(frames.isBetweenFrames)
        }
    }

    @Test func whatCannotBeTakenInPlaceIsLeftAsItWas() {
        let frames = LengthPrefixedFrames(limit: 100)
        for bytes in [[], [3, 1, 2], [0x81], [0x80, 0], [101] + [UInt8](repeating: 1, count: 101)] as [[UInt8]] {
            bytes.withUnsafeBytes {
                var view = $0
                #expect(frames.nextInPlace(&view) == nil)
                #expect(view.count == bytes.count)
            }
        }
        #expect(frames.isBetweenFrames)
    }

    @Test func aFrameAboveTheLimitIsRefusedByItsPrefix() {
        var frames = LengthPrefixedFrames(limit: 1 << 20)
        #expect(throws: WireError.tooLarge(announced: 1_048_577, limit: 1 << 20)) { try read([0x81, 0x80, 0x40], cut: 1, into: &frames) }
    }

    @Test func anAnnouncedLengthAllocatesNothing() throws {
        var frames = LengthPrefixedFrames(limit: 1 << 30)
        #expect(try read(Varint.encoded(1 << 30) + [1, 2, 3], cut: 10, into: &frames).isEmpty)
        #expect(frames.bufferedByteCount == 3)
        #expect(frames.capacity < 4_096)
    }

    @Test(.enabled(if: Vectors.present, "vectors are beside the checkout"))
    func vectors() throws {
        for row in try Vectors.cases("gossipsub_rpc.json", "frames") {
            for cut in [1, 1_000] {
                var frames = LengthPrefixedFrames(limit: 1 << 20)
                var accepted = false
                do {
                    _ = try read(row.bytes("frame"), cut: cut, into: &frames)
                    accepted = frames.isBetweenFrames
                } catch {}
                #expect(accepted == (row.text("expect") == "accept"), "\(row.text("name")), cut \(cut)")
            }
        }
    }
}
