import Foundation

/// The conformance data beside the checkout (`../shared/vectors`, or `MESHNET_VECTORS`), when it is there.
public enum Vectors {
    private static let folder: URL? = {
        let environment = ProcessInfo.processInfo.environment["MESHNET_VECTORS"]
        let beside = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("shared/vectors")
        let folder = environment.map { URL(fileURLWithPath: $0) } ?? beside
        return FileManager.default.fileExists(atPath: folder.path) ? folder : nil
    }()

    public static var present: Bool { folder != nil }

    /// The object in one file, such as `varint.json`.
    public static func load(_ file: String) throws -> [String: Any] {
        guard let folder else { throw CocoaError(.fileNoSuchFile) }
        let data = try Data(contentsOf: folder.appendingPathComponent(file))
        return try JSONSerialization.jsonObject(with: data) as? [String: Any] ?? [:]
    }

    /// The list of cases under one name.
    public static func cases(_ file: String, _ list: String) throws -> [[String: Any]] {
        try load(file)[list] as? [[String: Any]] ?? []
    }
}

extension [UInt8] {
    /// Bytes from lower- or upper-case hex; nil for anything else.
    public init?(hex: String) {
        let digits = hex.utf8.map { Character(UnicodeScalar($0)).hexDigitValue }
        guard digits.count % 2 == 0, !digits.contains(where: { $0 == nil }) else { return nil }
        self = stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0]! << 4 | digits[$0 + 1]!) }
    }

    public var hex: String { map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined() }
}

extension [String: Any] {
    public func text(_ key: String) -> String { self[key] as? String ?? "" }
    public func bytes(_ key: String) -> [UInt8] { (self[key] as? String).flatMap { [UInt8](hex: $0) } ?? [] }
}
