// One import for users: the types of the wire and of the swarm are part of this module's interface.
@_exported public import MeshNetProtocol
@_exported public import MeshNetSwarm
