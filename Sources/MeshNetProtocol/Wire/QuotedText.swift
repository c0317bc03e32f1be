extension StringProtocol {
    /// The text in quotes for a message to people: at most 200 scalars, control characters replaced so that a log line stays one line.
    package var quoted: String {
        let limit = 200
        var output = "\""
        for scalar in unicodeScalars.prefix(limit) {
            output.unicodeScalars.append(scalar.properties.generalCategory == .control ? "\u{fffd}" : scalar)
        }
        return output + (unicodeScalars.dropFirst(limit).isEmpty ? "\"" : "…\"")
    }
}
