@preconcurrency import CSystem
import Glibc
import MeshNet

/// What the command line and the environment ask for. The command line wins.
struct Options {
    var bootstrapPeers: [String] = []
    var listenPort: UInt16 = 0
    var keyFile: String?
    /// A new identity for this run alone.
    var isEphemeral = false
    var pskFile: String?
    var isJSON = false
    var wantsHelp = false
    var count: Int?
    var peers = 2
    var seconds: Int?
    var upload: UInt64 = 100_000_000
    var download: UInt64 = 100_000_000
    var topic: String?
    var name = "swift"
    var isNew = false
    var retains = false
    /// What is sent, how, and what becomes of what arrives.
    var file: String?
    var lane: Lane?
    var deadline: Duration = .seconds(30)
    var asksReply = false
    var saveFolder: String?
    var reply: String?
    /// What the environment and the options say about discovery and networks.
    var settings = Settings.environment()
    /// What stands behind the options.
    var operands: [String] = []

    private static let names: [(long: String, short: Character?, takesValue: Bool)] =
        ownNames + Setting.allCases.map { ($0.rawValue, nil, !$0.isSwitch) }

    private static let ownNames: [(long: String, short: Character?, takesValue: Bool)] = [
        ("bootstrap-peers", "b", true), ("bootstrap", nil, true), ("listen-port", "p", true), ("libp2p-port", nil, true), ("port", nil, true),
        ("key", "k", true), ("psk", nil, true), ("json", "j", false), ("help", "h", false), ("count", "c", true), ("peers", nil, true),
        ("seconds", "s", true), ("upload", "u", true), ("download", "d", true), ("topic", "t", true), ("name", nil, true), ("new", nil, false),
        ("ephemeral", nil, false), ("file", "f", true), ("lane", nil, true), ("deadline", nil, true), ("request", nil, false), ("save", nil, true),
        ("reply", nil, true), ("retain", nil, false),
    ]

    init(_ command: Subcommand, _ arguments: [String]) throws {
        try readEnvironment(command)
        let shorts = Self.names.compactMap { entry in entry.short.map { entry.takesValue ? "\($0):" : "\($0)" } }.joined()
        let longNames: [UnsafeMutablePointer<CChar>?] = Self.names.map { strdup($0.long) }
        defer { for name in longNames { free(name) } }
        var long: [option] = []
        for (index, entry) in Self.names.enumerated() {
            long.append(option(name: longNames[index], has_arg: entry.takesValue ? 1 : 0, flag: nil, val: Int32(1_000 + index)))
        }
        long.append(option(name: nil, has_arg: 0, flag: nil, val: 0))
        var words: [UnsafeMutablePointer<CChar>?] = (["meshnet \(command.rawValue)"] + arguments).map { strdup($0) }
        words.append(nil)
        defer { for word in words { free(word) } }
        optind = 1
        while true {
            let code = getopt_long(Int32(words.count - 1), &words, shorts, long, nil)
            if code == -1 { break }
            guard let name = Self.name(code) else { throw Failure.usage("bad option", command) }
            try take(name, optarg.map { String(cString: $0) } ?? "", command)
        }
        operands = words[Int(optind)..<words.count - 1].compactMap { $0.map { String(cString: $0) } }
    }

    /// `Configuration` for these options; makes a key file that does not exist.
    func configuration() throws -> Configuration {
        var configuration = Configuration(identity: try identity(), bootstrapPeers: bootstrapPeers, listenPort: listenPort)
        if let pskFile { configuration.preSharedKey = try Self.preSharedKey(pskFile) }
        do throws(CallError) { try configuration.apply(settings) } catch {
            throw Failure(error.description, remedy: "docs/discovery.md and --help tell what each option takes.", status: 2)
        }
        // Done here, with the options on top.
        configuration.readsEnvironment = false
        return configuration
    }

    /// Where the identity lies, unless it is for this run alone: a state directory has its own.
    var keyPath: String? {
        if let keyFile { return keyFile }
        if let directory = settings.text(.stateDirectory) { return "\(directory)/key" }
        return DefaultKey.path
    }

    private func identity() throws -> KeyPair {
        if isEphemeral, keyFile == nil { return KeyPair.generate() }
        guard keyFile != nil || settings.text(.stateDirectory) != nil, let path = keyPath else { return DefaultKey.take() ?? KeyPair.generate() }
        // The folder of a named key is the user's to make, a state directory is ours.
        if keyFile == nil { _ = DefaultKey.makeFolder(of: path) }
        return try KeyPair.loadOrCreate(at: path)
    }

    private mutating func take(_ name: String, _ value: String, _ command: Subcommand) throws {
        if let setting = Setting(rawValue: name) {
            guard !setting.isSecret else { throw Self.refusal(of: setting) }
            return settings.set(setting, setting.isSwitch ? "1" : value)
        }
        switch name {
        case "bootstrap-peers", "bootstrap": bootstrapPeers = Self.list(value)
        case "listen-port", "libp2p-port", "port": listenPort = try Self.number(value, "--" + name, command)
        case "key": keyFile = value
        case "psk": pskFile = value
        case "json": isJSON = true
        case "help": wantsHelp = true
        case "count": count = try Self.number(value, "--count", command)
        case "peers": peers = try Self.number(value, "--peers", command)
        case "seconds": seconds = try Self.number(value, "--seconds", command)
        case "upload": upload = try Self.number(value, "--upload", command)
        case "download": download = try Self.number(value, "--download", command)
        case "topic": topic = value
        case "name": self.name = value
        case "retain": retains = true
        case "ephemeral": isEphemeral = true
        case "file": file = value
        case "lane": lane = try Self.lane(value, command)
        case "deadline": deadline = try Self.seconds(value, "--deadline", command)
        case "request": asksReply = true
        case "save": saveFolder = value
        case "reply": reply = value
        default: isNew = true
        }
    }

    private static func refusal(of setting: Setting) -> Failure {
        Failure(
            "\(setting.option): a key is not taken on the command line, where every user of this machine could read it",
            remedy: "Put it into a file of your own and name that by \(setting.option)-file, or set \(setting.variable).", status: 2)
    }

    private mutating func readEnvironment(_ command: Subcommand) throws {
        func value(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
        if let list = value("MESHNET_BOOTSTRAP_PEERS") { bootstrapPeers = Self.list(list) }
        if let port = value("MESHNET_LISTEN_PORT") { listenPort = try Self.number(port, "MESHNET_LISTEN_PORT", command) }
        keyFile = value("MESHNET_KEY_FILE")
        isEphemeral = value("MESHNET_EPHEMERAL") == "1"
        pskFile = value("MESHNET_PSK_FILE")
        isJSON = value("MESHNET_JSON") == "1"
    }

    private static func name(_ code: Int32) -> String? {
        if code >= 1_000 { return names[Int(code) - 1_000].long }
        return names.first { $0.short.map { $0.asciiValue.map(Int32.init) == code } ?? false }?.long
    }

    /// Entries between commas; an empty list is no entry, an empty entry is told about by the node.
    private static func list(_ text: String) -> [String] {
        text.isEmpty ? [] : text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    }

    private static func number<Number: FixedWidthInteger>(_ text: String, _ what: String, _ command: Subcommand) throws -> Number {
        guard let number = Number(text), number >= 0 else {
            throw Failure.usage("\(what) takes a whole number from 0 to \(Number.max), not \"\(text)\"", command)
        }
        return number
    }

    private static func lane(_ text: String, _ command: Subcommand) throws -> Lane {
        guard let lane = Lane.allCases.first(where: { $0.description == text }) else {
            throw Failure.usage("--lane takes control, normal or bulk, not \"\(text)\"", command)
        }
        return lane
    }

    private static func seconds(_ text: String, _ what: String, _ command: Subcommand) throws -> Duration {
        guard let seconds = Double(text), seconds > 0, seconds <= 1e9 else {
            throw Failure.usage("\(what) takes a number of seconds above 0, not \"\(text)\"", command)
        }
        return .milliseconds(Int64((seconds * 1_000).rounded(.up)))
    }

    private static func preSharedKey(_ path: String) throws -> PreSharedKey {
        guard let file = fopen(path, "r") else {
            throw Failure("\(path): \(String(cString: strerror(errno)))", remedy: "Name a swarm.key file as go-libp2p has it.")
        }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 4_096)
        let count = fread(&bytes, 1, bytes.count, file)
        do {
            return try PreSharedKey(keyFile: Array(bytes[..<count]))
        } catch {
            throw Failure("\(path): \(error)", remedy: "A swarm.key file has three lines: /key/swarm/psk/1.0.0/, /base16/ and 64 digits.")
        }
    }
}
