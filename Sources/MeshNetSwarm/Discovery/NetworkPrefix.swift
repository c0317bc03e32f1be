import MeshNetProtocol

/// A range of IP addresses in CIDR notation (RFC 4632, RFC 4291).
package struct NetworkPrefix: Hashable, Sendable {
    /// 4 or 16 bytes in network order.
    package let ip: [UInt8]
    /// Leading bits that count: at most 32 or 128.
    package let length: Int

    /// nil unless `ip` has 4 or 16 bytes and the length fits.
    package init?(ip: [UInt8], length: Int) {
        guard ip.count == 4 || ip.count == 16, (0...8 * ip.count).contains(length) else { return nil }
        self.ip = ip
        self.length = length
    }

    /// `10.0.0.0/8`, `fd00::/8`, or one address without a length.
    init?(parsing text: String) {
        let parts = text.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        guard parts.count <= 2, let first = parts.first, let ip = IPText.ipv4(first) ?? IPText.ipv6(first) else { return nil }
        guard parts.count == 2 else {
            self.init(ip: ip, length: 8 * ip.count)
            return
        }
        guard (1...3).contains(parts[1].count), parts[1].allSatisfy({ DigitAlphabet.decimal.value($0) != nil }), let length = Int(String(parts[1]) ?? "")
        else { return nil }
        self.init(ip: ip, length: length)
    }

    /// An IPv4 address that is mapped into IPv6 counts as the IPv4 address.
    package func contains(_ address: [UInt8]) -> Bool {
        let other = ip.count == 4 ? Self.unmapped(address) : address
        guard ip.count == other.count else { return false }
        let whole = length / 8, rest = length % 8
        for index in 0..<whole where ip[index] != other[index] { return false }
        return rest == 0 || (ip[whole] ^ other[whole]) >> UInt8(8 - rest) == 0
    }

    private static func unmapped(_ address: [UInt8]) -> [UInt8] {
        address.count == 16 && address.prefix(10).allSatisfy { $0 == 0 } && address[10] == 0xff && address[11] == 0xff ? Array(address[12...]) : address
    }
}

/// A network interface of this machine, with the subnets of its addresses.
package struct NetworkInterface: Equatable, Sendable {
    package var name: String
    /// The whole address and its prefix length.
    package var addresses: [NetworkPrefix]

    package init(name: String, addresses: [NetworkPrefix]) {
        self.name = name
        self.addresses = addresses
    }

    /// Made by software for containers, virtual machines or a tunnel, as its name says: peers are rather reached by another one.
    var isVirtual: Bool { Self.virtualPrefixes.contains { name.hasPrefix($0) } }

    private static let virtualPrefixes = [
        "docker", "veth", "br-", "virbr", "cni", "flannel", "cali", "lxc", "lxd", "podman", "vmnet", "vnet", "tailscale", "zt", "wg", "tun", "tap",
    ]
}

/// A pattern for interface names: the name, or its beginning and `*`.
struct InterfacePattern: Hashable {
    let beginning: String
    let isPrefix: Bool

    init?(_ text: String) {
        isPrefix = text.hasSuffix("*")
        beginning = isPrefix ? String(text.dropLast()) : text
        guard !text.isEmpty, !beginning.contains("*") else { return nil }
    }

    func matches(_ name: String) -> Bool { isPrefix ? name.hasPrefix(beginning) : name == beginning }
}
