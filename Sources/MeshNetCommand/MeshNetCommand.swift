@preconcurrency import Glibc
import MeshNet

/// The command `meshnet`: one word says what to do, `--help` behind it how.
@main
struct MeshNetCommand {
    static func main() async {
        setvbuf(stdout, nil, _IOLBF, 0)
        let arguments = CommandLine.arguments
        guard arguments.count > 1, let command = Subcommand(rawValue: arguments[1]) else {
            let word = arguments.count > 1 ? arguments[1] : ""
            if ["--help", "-h", "help"].contains(word) { return print(Help.overview) }
            if word == "--version" { return print("meshnet 0.1.0") }
            if !word.isEmpty { complain("\(word): no such command") }
            complain(Help.overview)
            exit(2)
        }
        do {
            let options = try Options(command, Array(arguments.dropFirst(2)))
            if options.wantsHelp { return print(Help.text(command)) }
            try await command.run(options)
        } catch let failure as Failure {
            complain("meshnet \(command.rawValue): \(failure.message)")
            if let remedy = failure.remedy { complain(remedy) }
            exit(failure.status)
        } catch {
            complain("meshnet \(command.rawValue): \(error)")
            exit(1)
        }
    }
}

enum Subcommand: String, CaseIterable {
    case id, run, discover, doctor, ping, send, listen, pub, sub, chat, perf, talk

    func run(_ options: Options) async throws {
        switch self {
        case .id: try printIdentity(options)
        case .run: try await runNode(options)
        case .discover: try await runDiscover(options)
        case .doctor: try await runDoctor(options)
        case .ping: try await runPing(options)
        case .send: try await runSend(options)
        case .listen: try await runListen(options)
        case .pub: try await runPublish(options)
        case .sub: try await runSubscribe(options)
        case .chat: try await runChat(options)
        case .perf: try await runPerf(options)
        case .talk: try await runTalk(options)
        }
    }
}

/// What ends a command before its time. Status 1: it did not work; 2: it was asked wrongly.
struct Failure: Error {
    let message: String
    let remedy: String?
    let status: Int32

    init(_ message: String, remedy: String? = nil, status: Int32 = 1) {
        self.message = message
        self.remedy = remedy
        self.status = status
    }

    static func usage(_ message: String, _ command: Subcommand) -> Failure {
        Failure(message, remedy: "meshnet \(command.rawValue) --help tells the options.", status: 2)
    }
}

func complain(_ text: String) { fputs(text + "\n", stderr) }
