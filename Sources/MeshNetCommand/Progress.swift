@preconcurrency import Glibc

/// How far a large message came: a bar on a terminal, else a line for each tenth.
struct Progress {
    /// Smaller messages are there before anybody looks.
    static let smallest = 1 << 20
    private static let width = 30

    let report: Report
    let name: String
    let total: Int
    private let isBar: Bool
    private var tenths = 0
    private var lastDrawn = -1.0

    init(report: Report, name: String, total: Int) {
        self.report = report
        self.name = name
        self.total = total
        isBar = isatty(STDERR_FILENO) == 1 && !report.isJSON
    }

    mutating func show(_ done: Int) {
        guard total >= Self.smallest else { return }
        let share = min(1, Double(done) / Double(total))
        if isBar {
            // Ten times a second is as much as an eye sees.
            guard share == 1 || report.elapsed - lastDrawn >= 0.1 else { return }
            lastDrawn = report.elapsed
            let filled = Int(share * Double(Self.width))
            let bar = String(repeating: "#", count: filled) + String(repeating: ".", count: Self.width - filled)
            fputs("\r\(name) [\(bar)] \(Report.format(share * 100, digits: 0))% of \(Report.format(Double(total) / 1e6, digits: 1)) MB", stderr)
        } else {
            let reached = Int(share * 10)
            guard reached > tenths else { return }
            tenths = reached
            report.line("progress", [("name", .text(name)), ("bytes", .integer(Int64(done))), ("percent", .integer(Int64(reached * 10)))])
        }
    }

    /// Leaves the line of the bar.
    func end() {
        if isBar, lastDrawn >= 0 { fputs("\n", stderr) }
    }
}
