/// Times in RFC 3339, as JSON carries them.
enum Timestamp {
    /// Seconds since 1970; any number of digits of the second, and any offset. nil for what is no time.
    static func seconds(_ text: String) -> Int64? {
        var rest = Array(text.utf8)[...]
        guard text.utf8.count <= 64,
            let year = number(&rest, 4), mark(&rest, "-"), let month = number(&rest, 2), mark(&rest, "-"), let day = number(&rest, 2),
            mark(&rest, "T") || mark(&rest, "t") || mark(&rest, " "),
            let hour = number(&rest, 2), mark(&rest, ":"), let minute = number(&rest, 2), mark(&rest, ":"), let second = number(&rest, 2),
            (1...12).contains(month), (1...31).contains(day), hour < 24, minute < 60, second <= 60
        else { return nil }
        if mark(&rest, ".") {
            guard let digit = rest.first, isDigit(digit) else { return nil }
            rest = rest.drop(while: isDigit)
        }
        guard let offset = offset(&rest), rest.isEmpty else { return nil }
        return days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second - offset
    }

    /// As `seconds`, and nil as well for the times by which Go programs say "never": year 1, and the start of 1970.
    static func set(_ text: String?) -> Int64? {
        guard let text, let time = seconds(text), time > 86_400 * 366 else { return nil }
        return time
    }

    /// Seconds east of UTC.
    private static func offset(_ rest: inout ArraySlice<UInt8>) -> Int64? {
        if mark(&rest, "Z") || mark(&rest, "z") { return 0 }
        let sign: Int64
        if mark(&rest, "+") { sign = 1 } else if mark(&rest, "-") { sign = -1 } else { return nil }
        guard let hours = number(&rest, 2), mark(&rest, ":"), let minutes = number(&rest, 2) else { return nil }
        return sign * (hours * 3_600 + minutes * 60)
    }

    /// Days from 1970-01-01 in the Gregorian calendar: whole 400-year eras of 146,097 days, years that begin in March.
    private static func days(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
        let shifted = month <= 2 ? year - 1 : year
        let era = (shifted >= 0 ? shifted : shifted - 399) / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }

    private static func number(_ rest: inout ArraySlice<UInt8>, _ count: Int) -> Int64? {
        let digits = rest.prefix(count)
        guard digits.count == count, digits.allSatisfy(isDigit) else { return nil }
        rest = rest.dropFirst(count)
        return digits.reduce(0) { $0 * 10 + Int64($1 - 0x30) }
    }

    private static func mark(_ rest: inout ArraySlice<UInt8>, _ character: Character) -> Bool {
        guard rest.first == character.asciiValue else { return false }
        rest = rest.dropFirst()
        return true
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
}
