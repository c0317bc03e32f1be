import COpenSSL
import CSodium

/// Public keys of X25519 for several secrets at once, seven tenths of what they take one by one.
///
/// The ladder of X25519 takes as long for the base point as for any other, while libsodium has tables of the same point in Edwards form. The one form
/// follows from the other, u = (1 + y) / (1 - y) (RFC 7748, section 4.1), and all of them share one inversion. From the points on everything is public.
enum X25519Keys {
    /// Precondition: each secret has 32 bytes.
    static func publicKeys(of secrets: [[UInt8]]) -> [[UInt8]] {
        let field = Field()
        guard let keys = field?.map(secrets.map(edwardsPoint)) else { return secrets.map(NoiseSuite.publicKey) }
        return keys
    }

    /// y in little-endian order. The secret is clamped as X25519 does it.
    private static func edwardsPoint(of secret: [UInt8]) -> [UInt8] {
        var point = [UInt8](repeating: 0, count: NoiseSuite.keyByteCount)
        _ = crypto_scalarmult_ed25519_base(&point, secret)
        // The sign of x.
        point[point.count - 1] &= 0x7f
        return point
    }
}

/// Numbers modulo 2^255 - 19, by libcrypto.
private final class Field {
    private let context: OpaquePointer
    private let prime: OpaquePointer
    private let one: OpaquePointer

    init?() {
        guard let context = BN_CTX_new(), let prime = BN_new(), let one = BN_new() else { return nil }
        (self.context, self.prime, self.one) = (context, prime, one)
        BN_CTX_start(context)
        guard BN_set_word(one, 1) == 1, BN_set_word(prime, 0) == 1, BN_set_bit(prime, 255) == 1, BN_sub_word(prime, 19) == 1 else { return nil }
    }

    deinit {
        BN_CTX_end(context)
        BN_CTX_free(context)
        BN_free(prime)
        BN_free(one)
    }

    /// (1 + y) / (1 - y) of each y; nil when one of them has none, or there is no memory.
    ///
    /// The product of all denominators is inverted; going back through it, each has the inverse of its own (Montgomery's trick).
    func map(_ points: [[UInt8]]) -> [[UInt8]]? {
        var fractions: [(numerator: OpaquePointer, denominator: OpaquePointer, before: OpaquePointer)] = []
        guard let product = number(), BN_set_word(product, 1) == 1 else { return nil }
        for point in points {
            guard let y = number(), let numerator = number(), let denominator = number(), let before = number(),
                  BN_lebin2bn(point, Int32(point.count), y) != nil, BN_mod_add(numerator, one, y, prime, context) == 1,
                  BN_mod_sub(denominator, one, y, prime, context) == 1, BN_copy(before, product) != nil,
                  BN_mod_mul(product, product, denominator, prime, context) == 1
            else { return nil }
            fractions.append((numerator, denominator, before))
        }
        guard let inverse = number(), BN_mod_inverse(inverse, product, prime, context) != nil else { return nil }
        var keys: [[UInt8]] = []
        for (numerator, denominator, before) in fractions.reversed() {
            var key = [UInt8](repeating: 0, count: NoiseSuite.keyByteCount)
            guard BN_mod_mul(before, before, inverse, prime, context) == 1, BN_mod_mul(numerator, numerator, before, prime, context) == 1,
                  BN_mod_mul(inverse, inverse, denominator, prime, context) == 1, BN_bn2lebinpad(numerator, &key, Int32(key.count)) == Int32(key.count)
            else { return nil }
            keys.append(key)
        }
        return keys.reversed()
    }

    /// Freed with the context.
    private func number() -> OpaquePointer? { BN_CTX_get(context) }
}
