import Testing

/// The parent of all suites here, one after another: some of them count the descriptors and threads of the process.
@Suite(.serialized) enum SystemTests {}
