import CMeshNet

@c @implementation public func meshnet_version() -> UnsafePointer<CChar>? {
    // The header's text: the library and the header that it was built with are one release.
    let text: StaticString = "0.1.0"
    return text.cString
}

@c @implementation public func meshnet_abi_version() -> Int32 { MESHNET_ABI_VERSION }

@c @implementation public func meshnet_secret_size() -> Int { Int(MESHNET_SECRET_SIZE) }

@c @implementation public func meshnet_peer_id_text_size() -> Int { Int(MESHNET_PEER_ID_TEXT_SIZE) }
