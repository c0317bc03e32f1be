// One import for users: the types of the wire, the swarm and the system are part of this module's interface.
@_exported public import MeshNetProtocol
@_exported public import MeshNetSwarm
@_exported public import MeshNetSystem
