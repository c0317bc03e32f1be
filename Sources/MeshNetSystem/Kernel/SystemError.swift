/// What went wrong between this process and the kernel.
package enum SystemError: Error, Sendable, Equatable {
    case failed(call: String, errno: Int32)
}
