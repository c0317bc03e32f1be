/// The texts of `--help`.
enum Help {
    static let overview = """
        meshnet: libp2p nodes on the command line.

            meshnet run                          run a node and tell what happens
            meshnet ping ADDR                    connect, and measure round trips
            meshnet pub TOPIC [MESSAGE]          publish a message, or each line of the standard input
            meshnet sub TOPIC...                 print the messages of topics
            meshnet chat [TOPIC]                 both at once, line by line
            meshnet perf ADDR                    measure the throughput to a node
            meshnet id                           print, or make, an identity
            meshnet talk                         say hello on a topic and measure the echoes (make run uses it)

        ADDR is a multiaddr such as /ip4/192.168.1.7/tcp/4001 or /dns4/host.example/tcp/4001/p2p/12D3KooW...
        meshnet COMMAND --help tells the options of a command and shows examples.
        """

    private static let common = """

        Options of every node (each has an environment variable; the option wins):
            -b, --bootstrap-peers LIST   addresses between commas, dialled until they answer   MESHNET_BOOTSTRAP_PEERS
            -p, --listen-port PORT       TCP port, 0 for any (also --libp2p-port)              MESHNET_LISTEN_PORT
            -k, --key FILE               identity; made with mode 0600 if it is not there,
                                         a new one for each run without this option            MESHNET_KEY_FILE
                --psk FILE               swarm.key of a private network                        MESHNET_PSK_FILE
            -j, --json                   one JSON object a line                                MESHNET_JSON=1
        """

    static func text(_ command: Subcommand) -> String {
        switch command {
        case .id: """
            meshnet id [--key FILE [--new]]: print the peer id of an identity in its three forms.

                --key FILE   the identity; made with mode 0600 if it is not there
                --new        fail if it is there, rather than print it

                meshnet id --key node.key
            """
        case .run: """
            meshnet run: run a node until it is interrupted, and tell what happens to it.

                -t, --topic TOPIC   also follow a topic
                -s, --seconds N     end after so many seconds

                meshnet run --listen-port 4001
                meshnet run --bootstrap-peers /ip4/192.168.1.7/tcp/4001 --json
            """ + common
        case .ping: """
            meshnet ping ADDR: connect to a node and measure round trips.

                -c, --count N   so many pings (4)

                meshnet ping /ip4/192.168.1.7/tcp/4001
            """ + common
        case .pub: """
            meshnet pub TOPIC [MESSAGE]: publish a message, or each line of the standard input.

                -s, --seconds N   wait at most so long for somebody who follows the topic (10)

                meshnet pub -b /ip4/192.168.1.7/tcp/4001 news "hello"
            """ + common
        case .sub: """
            meshnet sub TOPIC...: print the messages of topics until interrupted.

                -c, --count N     end after so many messages
                -s, --seconds N   end after so many seconds

                meshnet sub -b /ip4/192.168.1.7/tcp/4001 news
            """ + common
        case .chat: """
            meshnet chat [TOPIC]: what you type goes to everyone who follows the topic (chat), and theirs is shown.

                meshnet chat -b /ip4/192.168.1.7/tcp/4001
            """ + common
        case .perf: """
            meshnet perf ADDR: measure throughput with /perf/1.0.0 of libp2p.

                -u, --upload BYTES     (100000000)
                -d, --download BYTES   (100000000)
                -c, --count N          so many runs (1)

                meshnet perf /ip4/192.168.1.7/tcp/4001 --upload 1000000000 --download 0
            """ + common
        case .talk: """
            meshnet talk: say hello on a topic, answer the hellos of others, and tell how long each echo took.

                -t, --topic TOPIC   (meshnet)
                -c, --count N       hellos to say (3)
                    --peers N       begin when so many others follow the topic, end when all have answered (2)
                -s, --seconds N     give up after so many seconds (30)
                    --name NAME     what the lines are marked with (swift)

                Ends with status 0 if every hello was answered by everyone, once its standard input ends.
            """ + common
        }
    }
}
