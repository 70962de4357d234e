"""What the kernel's connection tracking makes of TCP segments. Run in a network namespace of its own
(unshare -n): packets go in by one TUN device and out by another, past a rule that tracks.

Input, a JSON document: stories, each a list of [reply, flags, sequence, acknowledged, window, payload,
options as hex]. Output: for each story a list of [state or "-", seconds left], one a segment."""
import json, os, socket, struct, sys

from kernel_tun import checksum, track_forwarded, tun

CLIENT, SERVER, FIRST_PORT = '10.1.0.2', '10.2.0.2', 1024


def packet(port, reply, flags, sequence, acknowledged, window, payload, options):
    ends = ((CLIENT, port), (SERVER, 80))
    (source, source_port), (destination, destination_port) = reversed(ends) if reply else ends
    options = bytes.fromhex(options)
    offset = (20 + len(options)) // 4 << 4
    tcp = struct.pack('!HHIIBBHHH', source_port, destination_port, sequence, acknowledged, offset, flags, window, 0, 0)
    tcp += options + b'x' * payload
    ip = struct.pack('!BBHHHBBH', 0x45, 0, 20 + len(tcp), 1, 0, 64, 6, 0)
    ip += socket.inet_aton(source) + socket.inet_aton(destination)
    return ip[:10] + struct.pack('!H', checksum(ip)) + ip[12:] + tcp


def entry(port):
    with open('/proc/net/nf_conntrack') as file:
        for line in file:
            if f'sport={port} ' in line:
                words = line.split()
                return [words[5].lower().replace('_', '-'), int(words[4])]
    return ['-', 0]


devices = [tun('tun0', '10.1.0.1/24'), tun('tun1', '10.2.0.1/24')]
track_forwarded()
told = []
for number, story in enumerate(json.load(sys.stdin)):
    told.append([])
    for reply, *segment in story:
        os.write(devices[reply], packet(FIRST_PORT + number, reply, *segment))
        told[-1].append(entry(FIRST_PORT + number))
json.dump(told, sys.stdout)
