import MeshNetProtocol
@testable import MeshNetSystem
import Testing

extension SystemTests {
    @Suite struct CollectionsTests {
        @Test(arguments: 0..<20 as Range<UInt64>) func fifoAgreesWithAnArray(seed: UInt64) {
            var random = RandomSource(testSeed: seed), fifo = StableFifo<Int>(), model: [(position: UInt64, value: Int)] = []
            for step in 0..<2_000 {
                switch Int.random(in: 0..<6, using: &random) {
                case 0...2:
                    model.append((fifo.append(step), step))
                case 3:
                    #expect(fifo.first == model.first?.value, "seed \(seed)")
                    #expect(fifo.popFirst() == (model.isEmpty ? nil : model.removeFirst().value), "seed \(seed)")
                case 4:
                    guard let index = model.indices.randomElement(using: &random) else { continue }
                    let (position, value) = model.remove(at: index)
                    #expect(fifo.holds(position))
                    #expect(fifo.remove(at: position) == value, "seed \(seed)")
                    #expect(fifo.remove(at: position) == nil, "seed \(seed)")
                default:
                    guard let index = model.indices.randomElement(using: &random) else { continue }
                    let value = model.remove(at: index).value
                    #expect(fifo.removeFirst { $0 == value } == value, "seed \(seed)")
                }
                #expect(fifo.count == model.count, "seed \(seed)")
            }
        }

        @Test(arguments: 0..<20 as Range<UInt64>) func receiveBufferAgreesWithAnArray(seed: UInt64) {
            var random = RandomSource(testSeed: seed), buffer = ReceiveBuffer(), model: [UInt8] = []
            for _ in 0..<500 {
                let size = Int.random(in: 0...9_000, using: &random)
                if Bool.random(using: &random) {
                    let bytes = random.bytes(size)
                    bytes.withUnsafeBytes { buffer.append($0) }
                    model += bytes
                } else {
                    var target = [UInt8](repeating: 0, count: size)
                    let taken = target.withUnsafeMutableBytes { buffer.take(into: $0) }
                    #expect(taken == min(size, model.count), "seed \(seed)")
                    #expect(target[..<taken] == model[..<taken], "seed \(seed)")
                    model.removeFirst(taken)
                }
                #expect(buffer.count == model.count, "seed \(seed)")
            }
            #expect(buffer.clear() == model.count)
            #expect(buffer.count == 0)
        }
    }
}
