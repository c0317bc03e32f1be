import Glibc

/// The functions of libavahi-client that are used, found at run time, so that machines without the library run this one all the same.
/// Their declarations are those of avahi-client/client.h, publish.h, lookup.h and avahi-common/simple-watch.h, strlst.h of version 0.6 and later.
struct AvahiLibrary: @unchecked Sendable {
    typealias Object = OpaquePointer?
    typealias Text = UnsafePointer<CChar>?
    typealias UserData = UnsafeMutableRawPointer?
    typealias PollFunction = @convention(c) (_ descriptors: UnsafeMutablePointer<pollfd>?, _ count: UInt32, _ timeout: Int32, UserData) -> Int32
    typealias ClientCallback = @convention(c) (_ client: Object, _ state: Int32, UserData) -> Void
    typealias GroupCallback = @convention(c) (_ group: Object, _ state: Int32, UserData) -> Void
    typealias BrowserCallback = @convention(c) (
        _ browser: Object, _ interface: Int32, _ family: Int32, _ event: Int32, _ name: Text, _ type: Text, _ domain: Text, _ flags: Int32, UserData
    ) -> Void
    typealias ResolverCallback = @convention(c) (
        _ resolver: Object, _ interface: Int32, _ family: Int32, _ event: Int32, _ name: Text, _ type: Text, _ domain: Text, _ host: Text,
        _ address: UnsafeRawPointer?, _ port: UInt16, _ texts: Object, _ flags: Int32, UserData
    ) -> Void

    let pollNew: @convention(c) () -> Object
    let pollFree: @convention(c) (Object) -> Void
    let pollInterface: @convention(c) (Object) -> Object
    let pollIterate: @convention(c) (Object, Int32) -> Int32
    let pollWakeup: @convention(c) (Object) -> Void
    let pollSetFunction: @convention(c) (Object, PollFunction, UserData) -> Void

    let clientNew: @convention(c) (Object, _ flags: Int32, ClientCallback, UserData, UnsafeMutablePointer<Int32>?) -> Object
    let clientFree: @convention(c) (Object) -> Void
    let clientError: @convention(c) (Object) -> Int32
    let errorText: @convention(c) (Int32) -> Text

    let groupNew: @convention(c) (Object, GroupCallback, UserData) -> Object
    let groupFree: @convention(c) (Object) -> Int32
    let groupCommit: @convention(c) (Object) -> Int32
    let groupAddService: @convention(c) (
        Object, _ interface: Int32, _ family: Int32, _ flags: Int32, _ name: Text, _ type: Text, _ domain: Text, _ host: Text, _ port: UInt16,
        _ texts: Object
    ) -> Int32

    let browserNew: @convention(c) (
        Object, _ interface: Int32, _ family: Int32, _ type: Text, _ domain: Text, _ flags: Int32, BrowserCallback, UserData
    ) -> Object
    let resolverNew: @convention(c) (
        Object, _ interface: Int32, _ family: Int32, _ name: Text, _ type: Text, _ domain: Text, _ addressFamily: Int32, _ flags: Int32,
        ResolverCallback, UserData
    ) -> Object
    let resolverFree: @convention(c) (Object) -> Int32

    let listAdd: @convention(c) (Object, UnsafePointer<UInt8>?, Int) -> Object
    let listFree: @convention(c) (Object) -> Void
    let listNext: @convention(c) (Object) -> Object
    let listText: @convention(c) (Object) -> UnsafeMutablePointer<UInt8>?
    let listSize: @convention(c) (Object) -> Int

    /// nil where the library is not installed. It stays loaded.
    static let shared = try? AvahiLibrary()

    private struct Missing: Error {}

    private init() throws(Missing) {
        guard let handle = dlopen("libavahi-client.so.3", RTLD_NOW | RTLD_LOCAL) else { throw Missing() }
        // Also finds what is in libavahi-common, on which it depends.
        func find<Function>(_ name: String) throws(Missing) -> Function {
            guard let symbol = dlsym(handle, name) else { throw Missing() }
            return unsafeBitCast(symbol, to: Function.self)
        }
        pollNew = try find("avahi_simple_poll_new")
        pollFree = try find("avahi_simple_poll_free")
        pollInterface = try find("avahi_simple_poll_get")
        pollIterate = try find("avahi_simple_poll_iterate")
        pollWakeup = try find("avahi_simple_poll_wakeup")
        pollSetFunction = try find("avahi_simple_poll_set_func")
        clientNew = try find("avahi_client_new")
        clientFree = try find("avahi_client_free")
        clientError = try find("avahi_client_errno")
        errorText = try find("avahi_strerror")
        groupNew = try find("avahi_entry_group_new")
        groupFree = try find("avahi_entry_group_free")
        groupCommit = try find("avahi_entry_group_commit")
        groupAddService = try find("avahi_entry_group_add_service_strlst")
        browserNew = try find("avahi_service_browser_new")
        resolverNew = try find("avahi_service_resolver_new")
        resolverFree = try find("avahi_service_resolver_free")
        listAdd = try find("avahi_string_list_add_arbitrary")
        listFree = try find("avahi_string_list_free")
        listNext = try find("avahi_string_list_get_next")
        listText = try find("avahi_string_list_get_text")
        listSize = try find("avahi_string_list_get_size")
    }
}
