import MeshNet

/// Prints the identity, or gives this machine another one: what to do when a machine was cloned with its key.
func printIdentity(_ options: Options) throws {
    let identity: KeyPair, path = options.isEphemeral && options.keyFile == nil ? nil : options.keyPath
    var fields: [(String, Report.Value)] = []
    if options.isNew {
        guard let path else { throw Failure("there is no file for the new key", remedy: "Name one by --key FILE.") }
        guard DefaultKey.makeFolder(of: path) else { throw Failure("\(path): its folder cannot be made") }
        identity = KeyPair.generate()
        if let aside = try identity.replace(at: path) { fields.append(("old_key", .text(aside))) }
    } else if let path {
        guard DefaultKey.makeFolder(of: path) else { throw Failure("\(path): its folder cannot be made") }
        identity = try KeyPair.loadOrCreate(at: path)
    } else {
        identity = KeyPair.generate()
    }
    if let path { fields.insert(("key", .text(path)), at: 0) }
    Report(options).line("identity", [
        ("peer", .text(identity.peerID.description)), ("base32", .text(identity.peerID.base32)), ("base36", .text(identity.peerID.base36)),
    ] + fields)
    if options.isNew { complain("a node that runs with the old key goes on with it until it is started again") }
}
