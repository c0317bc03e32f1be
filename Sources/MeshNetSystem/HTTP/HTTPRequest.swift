import MeshNetProtocol
import MeshNetSwarm

/// One request. What is secret in it is of a type that prints its length only.
struct HTTPRequest: Sendable, Equatable {
    /// A POST when there is one.
    struct Content: Sendable, Equatable {
        let type: String
        let text: APIKey
    }

    /// From the start of the lookup of the name to the last byte; also for a connection that is reused.
    static let standardTimeout: Duration = .seconds(10)
    /// Bytes of a body. A list of 10,000 nodes has about 15 MB.
    static let standardBodyLimit = 16 << 20

    var server: ServerAddress
    /// Behind the path of the server, with a slash at its start, and a query perhaps.
    var path: String
    /// Sent as `Authorization: Bearer …`.
    var bearer: APIKey?
    var content: Content?
    /// The path of a socket to connect to in place of the server's host.
    var unixSocket: String?
    /// PEM, in place of the system's.
    var certificateAuthorityFile: String?
    var timeout = HTTPRequest.standardTimeout
    var bodyLimit = HTTPRequest.standardBodyLimit

    init(_ server: ServerAddress, _ path: String) {
        self.server = server
        self.path = path
    }

    var url: String { "\(server)\(path)" }
}

/// An answer of a server, whatever its status.
struct HTTPResponse: Sendable, Equatable {
    var status: Int
    /// Lower case, without parameters; nil when the server did not say.
    var contentType: String?
    /// The server's clock, in seconds since 1970.
    var date: Int64?
    var retryAfter: Duration?
    /// Where a redirection leads.
    var location: String?
    var body: [UInt8] = []
}

/// Why there is no answer.
enum HTTPFailure: Error, Sendable, Equatable {
    /// The name of the server.
    case unresolved(host: String, reason: String)
    /// No connection. The errno is 0 where libcurl does not tell it.
    case unreachable(errno: Int32, reason: String)
    /// With `connected` the server took the request, and was not done in time.
    case timedOut(connected: Bool, after: Duration)
    /// The server's certificate does not hold; `code` is OpenSSL's X509_V_ERR.
    case certificate(code: Int, reason: String)
    /// The file with certificates to trust cannot be used.
    case authorityFile(path: String)
    case tooLarge(limit: Int)
    case broken(reason: String)
    /// So many requests of this client are under way already.
    case busy(limit: Int)
}
