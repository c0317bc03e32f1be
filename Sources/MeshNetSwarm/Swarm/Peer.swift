import MeshNetProtocol

/// A connected peer. There is one object per peer however many connections it has for a moment.
final class Peer {
    /// In the order in which they were established.
    var connections: [ConnectionID]
    /// The one that new streams use.
    var primary: ConnectionID
    /// What the application was told.
    var announced: PeerConnection
    var identity: PeerIdentity?
    /// `Swarm.identifyRevision` of what it was last told about us; nil: nothing yet.
    var toldRevision: UInt64?
    /// What the peer signed about itself, and its bytes.
    var sealedRecord: (record: PeerRecord, envelope: [UInt8])?
    var pubsub = PubSubLink()
    var exchange = ServiceLink()
    var retained = ServiceLink()

    init(connection: ConnectionID, announced: PeerConnection) {
        connections = [connection]
        primary = connection
        self.announced = announced
    }
}

/// Where an application's stream lives.
struct StreamLocation {
    let connection: ConnectionID
    let stream: PipelineStream
}
