import MeshNetProtocol

/// The stream of one of our services to one peer, on its primary connection, with the frame in hand.
struct ServiceLink {
    /// A peer that ends our stream again and again is left alone after this.
    static let maximumReopenings = 5

    var connection: ConnectionID?
    var stream: PipelineStream?
    var isAgreed = false
    var reopenings = 0
    /// What the stream did not take of the frame in hand; the next one waits for it.
    var unwritten: ArraySlice<UInt8> = []

    mutating func detach() {
        connection = nil
        stream = nil
        isAgreed = false
        unwritten = []
    }
}
