/// The texts of `--help`.
enum Help {
    static let overview = """
        meshnet: libp2p nodes on the command line.

            meshnet run                          run a node and tell what happens
            meshnet discover                     show who is found, by what, and what becomes of it
            meshnet doctor [PEER|ADDR]           say why somebody, or anybody, is not connected
            meshnet ping ADDR                    connect, and measure round trips
            meshnet send PEER|ADDR TEXT          send a message to one node, and wait until it is there
            meshnet listen                       print, save or answer the messages that arrive
            meshnet pub TOPIC [MESSAGE]          publish a message, or each line of the standard input
            meshnet sub TOPIC...                 print the messages of topics
            meshnet chat [TOPIC]                 both at once, line by line
            meshnet perf ADDR                    measure the throughput to a node
            meshnet id                           print, or make, an identity
            meshnet talk                         say hello on a topic and measure the echoes (make run uses it)

        Nodes on one local network find each other by themselves.
        ADDR is a multiaddr such as /ip4/192.168.1.7/tcp/4001 or /dns4/host.example/tcp/4001/p2p/12D3KooW...
        meshnet COMMAND --help tells the options of a command and shows examples.
        """

    private static let common = """

        Options of every node (each has an environment variable; the option wins):
            -b, --bootstrap-peers LIST   addresses between commas, dialled until they answer   MESHNET_BOOTSTRAP_PEERS
            -p, --listen-port PORT       TCP port, 0 for any (also --libp2p-port)              MESHNET_LISTEN_PORT
            -k, --key FILE               identity; made with mode 0600 if it is not there. Without this
                                         option: the key of the state directory, else the user's,
                                         $XDG_STATE_HOME/meshnet/key                           MESHNET_KEY_FILE
                --ephemeral              a new identity for this run alone                     MESHNET_EPHEMERAL=1
                --psk FILE               swarm.key of a private network                        MESHNET_PSK_FILE
            -j, --json                   one JSON object a line                                MESHNET_JSON=1

        How others are found (variables: the same words, as MESHNET_DISCOVERY_MODE; more in docs/discovery.md):
            --discovery-mode MODES        none, or some of mdns, dns, gossip, headscale, tailscale (mdns,gossip)
            --network NAME                only nodes of this network are met: isolation, not security
            --secret-file FILE            a passphrase or swarm.key: a private network
            --service-tag TAG             of mDNS; nodes of one tag find each other (_p2p._udp)
            --app-id ID, --endpoint-id ID told by mDNS; of another app id nobody is dialled
            --mdns auto|embedded|avahi    who speaks mDNS (auto: our responder, and avahi-daemon where it runs)
            --discovery-service NAME      for mode dns: name:port, _service._proto.name or /dnsaddr/name; repeatable
            --discovery-interval SECONDS  between two lookups of a name (30)
            --allow-networks, --deny-networks CIDR,...      --allow-interfaces, --deny-interfaces NAME,...
            --allow-peers PEER,...        dial these only
            --headscale-api-url URL       a Headscale server, for mode headscale
            --headscale-api-key-file FILE its API key; or MESHNET_HEADSCALE_API_KEY. Never on the command line
            --headscale-poll-interval SECONDS (30)  --headscale-port PORT  --headscale-tag TAG  --headscale-ca-file FILE
            --headscale-tag-self          write our peer id and port as tags of our own node. Tags replace the node's owner
                                          and cannot be taken off again: read docs/headscale.md first
            --tailscale-socket PATH, --tailscale-api-key-file FILE, --tailscale-client-id ID,
            --tailscale-client-secret-file FILE, --tailscale-port PORT, --tailscale-tag TAG: a tailnet, for mode tailscale

        Messages to one peer (variables: the same words, as MESHNET_STATE_DIR; more in docs/messages.md):
            --state-dir DIR               queues, numbers and addresses outlive the process; one node at a time
            --queue-messages N, --queue-bytes N   that may wait for one peer (10000, 67108864)
            --receive-bytes N             received of one peer and lane, and not yet taken (4194304)
            --maximum-message-size N      both ways (1073741824)
            --reconnect-attempts N        failed rounds of dialling until messages fail (0: never)
        """

    static func text(_ command: Subcommand) -> String {
        switch command {
        case .id: """
            meshnet id [--key FILE] [--new]: print the peer id of an identity in its three forms.

                --key FILE    the identity; made with mode 0600 if it is not there. Without it that of the user,
                              $XDG_STATE_HOME/meshnet/key or ~/.local/state/meshnet/key
                --new         a new one in its place, as after a machine was cloned with its key; the old one is kept aside
                --ephemeral   a new one that is not kept

                meshnet id
                meshnet id --new
            """
        case .run: """
            meshnet run: run a node until it is interrupted, and tell what happens to it.

                -t, --topic TOPIC   also follow a topic
                -s, --seconds N     end after so many seconds

                meshnet run --listen-port 4001
                meshnet run --bootstrap-peers /ip4/192.168.1.7/tcp/4001 --json
            """ + common
        case .discover: """
            meshnet discover: show who is found, by which source, and what becomes of it, until interrupted.

                -s, --seconds N   end after so many seconds

                meshnet discover
                meshnet discover --discovery-mode dns --discovery-service mesh.default.svc.cluster.local:4001
            """ + common
        case .doctor: """
            meshnet doctor [PEER|ADDR]: say why a peer or an address is not connected; without one, whether the sources work and
            whether anybody was found. With evidence and remedy. Status 0 only if it, or anybody, is connected or can be.

                -s, --seconds N   look around for so long before the verdict (5)

                meshnet doctor
                meshnet doctor 12D3KooW...
                meshnet doctor /ip4/192.168.1.7/tcp/4001
            """ + common
        case .ping: """
            meshnet ping ADDR: connect to a node and measure round trips.

                -c, --count N   so many pings (4)

                meshnet ping /ip4/192.168.1.7/tcp/4001
            """ + common
        case .send: """
            meshnet send PEER|ADDR TEXT...
            meshnet send PEER|ADDR --file FILE
            meshnet send PEER|ADDR -: send a message to one node and wait until it has it. "-" is the standard input. A peer id is found
            by discovery, and dialled until the time is over.

                -f, --file FILE        the content of a file
                    --lane LANE        control, normal or bulk (normal; bulk for files)
                    --deadline SECONDS give up after so long (30)
                    --request          wait for the reply, and print it

                meshnet send /ip4/192.168.1.7/tcp/4001 hello
                meshnet send 12D3KooW... --file backup.tar --deadline 3600
            """ + common
        case .listen: """
            meshnet listen: print the messages that other nodes send to this one, until it is interrupted.

                    --save DIR     save each in a file of this folder, which is made if it is not there
                    --reply TEXT   answer requests with this
                -c, --count N      end after so many messages
                -s, --seconds N    end after so many seconds

                meshnet listen --listen-port 4001
                meshnet listen --save inbox --state-dir state
            """ + common
        case .pub: """
            meshnet pub TOPIC [MESSAGE]: publish a message, or each line of the standard input.

                -s, --seconds N   wait at most so long for somebody who follows the topic (10)
                    --retain      who follows the topic later gets the last such message

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
