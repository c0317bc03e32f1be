import MeshNetSwarm

/// Tells keys of control servers apart by how they begin, so that the wrong one is named before it is sent.
enum KeyKinds {
    /// Bytes of a key at most; the longest known has 87.
    static let maximumByteCount = 512
    static let headscaleCommand = "headscale apikeys create"

    /// The key without white space around it, or why it cannot be one.
    static func headscale(_ key: APIKey) -> Result<APIKey, SourceFailure> {
        checked(key) { text in
            if text.hasPrefix("hskey-api-") { return nil }
            if text.hasPrefix("hskey-auth-") || isHex(text, count: 48) {
                return wrong("this is a pre-auth key, by which machines join", "make an API key: \(headscaleCommand)")
            }
            if text.hasPrefix("hskey-") { return wrong("this is another key of Headscale than an API key", "make one: \(headscaleCommand)") }
            if text.hasPrefix("tskey-") { return wrong("this is a key of Tailscale", "make an API key of Headscale: \(headscaleCommand)") }
            return nil
        }
    }

    static func tailscale(_ key: APIKey) -> Result<APIKey, SourceFailure> {
        let hint = "make an API access token in the admin console, Settings, Keys"
        return checked(key) { text in
            if text.hasPrefix("tskey-auth-") || text.hasPrefix("hskey-auth-") { return wrong("this is an auth key, by which machines join", hint) }
            if text.hasPrefix("tskey-client-") {
                return wrong("this is the secret of an OAuth client", "give it as client secret, with the client id")
            }
            return nil
        }
    }

    static func tailscaleClient(_ secret: APIKey) -> Result<APIKey, SourceFailure> {
        let hint = "make an OAuth client in the admin console, Settings, OAuth clients"
        return checked(secret) { text in
            if text.hasPrefix("tskey-auth-") { return wrong("this is an auth key, by which machines join", hint) }
            if text.hasPrefix("tskey-api-") { return wrong("this is an API access token", "give it as API key, or \(hint)") }
            return nil
        }
    }

    /// A key that a server made, of any kind.
    static func plain(_ key: APIKey) -> Result<APIKey, SourceFailure> { checked(key) { _ in nil } }

    private static func wrong(_ detail: String, _ hint: String) -> SourceFailure { SourceFailure(.wrongKeyKind, detail: detail, hint: hint) }

    private static func checked(_ key: APIKey, _ kind: (String) -> SourceFailure?) -> Result<APIKey, SourceFailure> {
        let text = key.text.trimmed
        func bad(_ detail: String) -> Result<APIKey, SourceFailure> {
            .failure(SourceFailure(.badConfiguration, detail: detail, hint: "give the whole key and nothing else"))
        }
        if text.isEmpty { return bad("the key is empty") }
        guard text.utf8.count <= maximumByteCount else { return bad("the key has more than \(maximumByteCount) bytes") }
        // A line feed would begin another header line.
        guard text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else {
            return bad("the key has a space, a control character or a letter outside ASCII in it")
        }
        if let failure = kind(text) { return .failure(failure) }
        return .success(APIKey(text))
    }

    private static func isHex(_ text: String, count: Int) -> Bool {
        text.utf8.count == count && text.allSatisfy { $0.isHexDigit && !$0.isUppercase }
    }
}
