import CSystem
import Glibc
import MeshNetProtocol
package import MeshNetSwarm

/// What a call sends: bytes in memory, or a file of ours that was filled on the caller's thread.
package enum OutgoingBody: Sendable {
    case bytes([UInt8])
    case file(OutgoingFile)

    package var byteCount: Int {
        switch self {
        case .bytes(let bytes): bytes.count
        case .file(let file): file.byteCount
        }
    }
}

/// Why a file of the application cannot be sent.
package enum SendFileError: Error, Sendable {
    case file(SystemError)
    case call(CallError)
}

/// Turns what shall be sent into bodies; on the caller's thread.
package struct BodyMaker: Sendable {
    let folder: SpoolFolder
    /// More than this goes into a file.
    let threshold: Int
    package let sizeLimit: Int

    init(_ configuration: MessageConfiguration, _ folder: SpoolFolder) {
        self.folder = folder
        threshold = configuration.spoolThreshold
        sizeLimit = configuration.maximumMessageSize
    }

    func check(_ byteCount: Int) throws(CallError) {
        guard byteCount <= sizeLimit else { throw .messageTooLarge(size: byteCount, limit: sizeLimit) }
    }

    /// nil: it stays in memory. Blocks for the disk otherwise. Throws `.messageTooLarge` and `.storage`.
    func file(_ bytes: UnsafeRawBufferPointer) throws(CallError) -> OutgoingFile? {
        try check(bytes.count)
        guard bytes.count > threshold else { return nil }
        do throws(StorageProblem) {
            let file = try folder.makeFile()
            try file.append(bytes)
            return file
        } catch {
            throw .storage(error)
        }
    }

    func body(_ bytes: [UInt8]) throws(CallError) -> OutgoingBody {
        let made: Result<OutgoingFile?, CallError> = bytes.withUnsafeBytes { view in
            do throws(CallError) { return .success(try file(view)) } catch { return .failure(error) }
        }
        return try made.get().map { .file($0) } ?? .bytes(bytes)
    }

    /// The content of a file, or all that comes out of a pipe. Blocks.
    package func content(of path: String) throws(SendFileError) -> OutgoingBody {
        let source: Descriptor, start: [UInt8]
        do throws(SystemError) {
            source = try MessageFiles.open(path, O_RDONLY | O_CLOEXEC)
            start = try MessageFiles.read(source, upTo: threshold + 1)
        } catch {
            throw .file(error)
        }
        do throws(CallError) { try check(start.count) } catch { throw .call(error) }
        if start.count <= threshold { return .bytes(start) }
        let file: OutgoingFile
        do throws(StorageProblem) { file = try fill(start, source) } catch { throw .call(.storage(error)) }
        do throws(CallError) { try check(file.byteCount) } catch { throw .call(error) }
        return .file(file)
    }

    /// One byte more than is allowed shows that there is more.
    private func fill(_ start: [UInt8], _ source: Descriptor) throws(StorageProblem) -> OutgoingFile {
        let file = try folder.makeFile()
        try start.withView { view throws(StorageProblem) in try file.append(view) }
        _ = try file.append(from: source.number, limit: sizeLimit - start.count + 1)
        return file
    }
}
