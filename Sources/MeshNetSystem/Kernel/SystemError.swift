/// What went wrong between this process and the kernel.
package enum SystemError: Error, Sendable, Equatable {
    case failed(call: String, errno: Int32)
}

extension SystemError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .failed(let call, let code): "\(call): \(describe(errno: code))"
        }
    }
}
