import CJansson
import MeshNetProtocol

/// A value of a JSON text (RFC 8259), parsed by jansson under bounds. Reading one is lenient: what has another type than asked for is nil.
struct JSON {
    struct Limits: Sendable {
        /// Arrays and objects inside each other. The deepest answer here has six.
        var depth = 32
        /// Arrays and objects: jansson makes up to 300 bytes of the two bytes of an empty one. A node has about ten.
        var containers = 200_000
        /// Values of any kind, at 32 bytes and more each.
        var values = 2_000_000
    }

    enum ParseError: Error, Equatable {
        case tooDeep(limit: Int)
        case tooMany(limit: Int)
        case malformed(reason: String, position: Int)
    }

    /// Keeps the tree that the values are part of.
    private final class Tree {
        let root: UnsafeMutablePointer<json_t>
        init(_ root: UnsafeMutablePointer<json_t>) { self.root = root }
        deinit { json_decref(root) }
    }

    private let tree: Tree
    private let value: UnsafeMutablePointer<json_t>

    init(parsing bytes: [UInt8], limits: Limits = Limits()) throws(ParseError) {
        try Self.count(bytes, limits)
        var error = json_error_t()
        // Other writers than ours may put U+0000 into a name; the other texts are still good then.
        let flags = Int(JSON_ALLOW_NUL)
        let root = bytes.withUnsafeBytes { raw in
            raw.withMemoryRebound(to: CChar.self) { json_loadb($0.baseAddress, $0.count, flags, &error) }
        }
        guard let root else {
            let reason = withUnsafeBytes(of: error.text) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            throw .malformed(reason: reason, position: Int(error.position))
        }
        tree = Tree(root)
        value = root
    }

    private init(_ tree: Tree, _ value: UnsafeMutablePointer<json_t>) {
        self.tree = tree
        self.value = value
    }

    /// The member of an object.
    subscript(_ name: String) -> JSON? {
        guard value.pointee.type == JSON_OBJECT, let member = json_object_get(value, name) else { return nil }
        return JSON(tree, member)
    }

    var string: String? {
        guard value.pointee.type == JSON_STRING, let bytes = json_string_value(value) else { return nil }
        return String(decoding: UnsafeRawBufferPointer(start: bytes, count: json_string_length(value)), as: UTF8.self)
    }

    var integer: Int64? { value.pointee.type == JSON_INTEGER ? Int64(json_integer_value(value)) : nil }

    var bool: Bool? {
        switch value.pointee.type {
        case JSON_TRUE: true
        case JSON_FALSE: false
        default: nil
        }
    }

    var isObject: Bool { value.pointee.type == JSON_OBJECT }
    var isNull: Bool { value.pointee.type == JSON_NULL }

    /// The elements; nil for another type than an array.
    var elements: [JSON]? {
        guard value.pointee.type == JSON_ARRAY else { return nil }
        return (0..<json_array_size(value)).compactMap { index in json_array_get(value, index).map { JSON(tree, $0) } }
    }

    /// The values of an object's members in their order; nil for another type than an object.
    var members: [JSON]? {
        guard value.pointee.type == JSON_OBJECT else { return nil }
        var members: [JSON] = [], iterator = json_object_iter(value)
        while let place = iterator {
            if let member = json_object_iter_value(place) { members.append(JSON(tree, member)) }
            iterator = json_object_iter_next(value, place)
        }
        return members
    }

    /// The strings of an array; empty for anything else.
    func strings(limit: Int) -> [String] { (elements ?? []).prefix(limit).compactMap(\.string) }

    /// Looks at the text before jansson builds a tree of it, which takes many times its bytes.
    private static func count(_ bytes: [UInt8], _ limits: Limits) throws(ParseError) {
        var depth = 0, containers = 0, values = 1, isInText = false, isEscaped = false
        for byte in bytes {
            if isInText {
                if isEscaped {
                    isEscaped = false
                } else if byte == UInt8(ascii: "\\") {
                    isEscaped = true
                } else if byte == UInt8(ascii: "\"") {
                    isInText = false
                }
                continue
            }
            switch byte {
            case UInt8(ascii: "\""): isInText = true
            case UInt8(ascii: ","): values += 1
            case UInt8(ascii: "["), UInt8(ascii: "{"):
                depth += 1
                containers += 1
                values += 1
                guard depth <= limits.depth else { throw .tooDeep(limit: limits.depth) }
            case UInt8(ascii: "]"), UInt8(ascii: "}"): depth -= 1
            default: break
            }
        }
        guard containers <= limits.containers else { throw .tooMany(limit: limits.containers) }
        guard values <= limits.values else { throw .tooMany(limit: limits.values) }
    }
}

/// Texts for JSON that we write.
enum JSONText {
    static func string(_ text: String) -> String {
        var output = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": output += "\\\(scalar)"
            case _ where scalar.value < 0x20:
                let hex = String(scalar.value, radix: 16)
                output += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
            default: output.unicodeScalars.append(scalar)
            }
        }
        return output + "\""
    }

    static func array(_ texts: [String]) -> String { "[" + texts.map(string).joined(separator: ",") + "]" }
}
