import TestSupport
import Testing

@testable import MeshNetProtocol

@Suite struct GossipsubSeenCacheTests {
    /// Keys whose places collide, as no peer can choose them: a run of places that is cut, moved up or grown keeps every key that is in it.
    @Test(arguments: [1, 3, 50, 1 << 20] as [UInt64]) func collidingKeysAreKeptApart(homes: UInt64) {
        var random = RandomSource(testSeed: homes), table = GossipsubKeyTable(), keys: [UInt32: GossipsubMessageKey] = [:], next: UInt32 = .max - 500
        for _ in 0..<20_000 {
            if keys.count < 300, random.next() % 5 > 1 {
                let key = GossipsubMessageKey(low: random.next() % homes, high: random.next())
                #expect(table.find(key) { keys[$0] == key } == nil)
                table.insert(key, next)
                keys[next] = key
                next &+= 1
            } else if let number = keys.keys.min(by: { $0 &- next < $1 &- next }) {
                table.remove(keys[number]!, number)
                keys[number] = nil
            }
            #expect(table.count == keys.count)
            if random.next() % 50 == 0 { for (number, key) in keys { #expect(table.find(key) { keys[$0] == key } == number, "homes \(homes)") } }
        }
    }

    @Test func numbersRiseAndOutliveTheOldest() {
        var cache = GossipsubSeenCache(ttl: .seconds(10), limit: 100), now = Instant.zero
        func key(_ number: UInt64) -> GossipsubMessageKey { GossipsubMessageKey(low: number &* 0x9e37_79b9_7f4a_7c15, high: number) }
        for number in 0..<1_000 as Range<UInt64> {
            now = now + .milliseconds(10)
            let first = cache.insert(key(number), now: now), second = cache.insert(key(number), now: now)
            #expect(first == number && second == nil)
            #expect(cache.number(key(number)) == number && cache.firstSeen(key(number)) == now)
            #expect(cache.contains(key(number &- 99)) == (number >= 99) && !cache.contains(key(number &- 100)))
        }
        cache.expire(now + .seconds(10) + .milliseconds(-500))
        #expect(cache.count == 50)
        cache.expire(now + .seconds(10))
        #expect(cache.count == 0 && cache.number(key(999)) == nil)
        let last = cache.insert(key(999), now: now + .seconds(10))
        #expect(last == 1_000)
    }

    /// A message that is asked for is found by its number, also when the oldest are gone and numbers are missing.
    @Test func theCacheServesByNumber() {
        var cache = GossipsubMessageCache(historyLength: 2, gossipLength: 1, byteLimit: 10_000)
        func kept(_ number: UInt8) -> GossipsubKeptMessage { GossipsubKeptMessage(SharedBytes([1, number, 9, 9]), frameByteCount: 2) }
        for number in stride(from: 0, to: 100, by: 3) as StrideTo<UInt8> { cache.insert(UInt64(number), topic: number % 2 == 0 ? "a" : "b", kept(number)) }
        #expect(cache.count == 34 && cache.byteCount == 34 * 258)
        #expect(cache.frame(99)?.array == [1, 99] && cache.frame(98) == nil && cache.frame(100) == nil && cache.frame(0)?.array == [1, 0])
        let frame = GossipsubMessageCache.Service.frame(SharedBytes([1, 99]))
        func serve(_ number: UInt64, _ request: UInt64) -> GossipsubMessageCache.Service { cache.serve(number, to: 1, request: request, limit: 2) }
        let services = [serve(99, 1), serve(99, 1), serve(98, 1), serve(99, 2), serve(99, 3)]
        #expect(services == [frame, .tooOften, .unknown, frame, .tooOften])
        cache.forget(peer: 1)
        let again = serve(99, 3)
        #expect(again == frame)
        #expect(cache.gossip(topic: "a").count == 17 && cache.id(at: cache.gossip(topic: "b")[0]).array == [9, 9])
        cache.shift()
        cache.insert(200, topic: "a", kept(200))
        #expect(cache.gossip(topic: "a").count == 1 && cache.gossip(topic: "b").isEmpty)
        cache.shift()
        #expect(cache.count == 1 && cache.byteCount == 258 && cache.frame(99) == nil && cache.frame(200) != nil)
        cache.shift()
        #expect(cache.count == 0 && cache.byteCount == 0)
    }
}
