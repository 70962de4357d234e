"""What the kernel's connection tracking keeps of packets of any protocol. Run in a network namespace of
its own (unshare -n): packets go in by one TUN device and out by another, past a rule that tracks.

Input, a JSON document: stories, each a list of [reply, protocol, what follows IP as hex]; story i is
between 10.1.x.y and 10.2.x.y with x.y = i + 1. Output: for each story the seconds that its entry has
left after the last packet, or null where there is none."""
import json, os, re, socket, struct, sys

from kernel_tun import checksum, track_forwarded, tun


def address(side, number):
    return f'10.{side}.{number >> 8}.{number & 255}'


def packet(number, reply, protocol, content):
    ends = [socket.inet_aton(address(side, number)) for side in (1, 2)]
    ip = struct.pack('!BBHHHBBH', 0x45, 0, 20 + len(content), 1, 0, 64, protocol, 0)
    ip += b''.join(reversed(ends) if reply else ends)
    return ip[:10] + struct.pack('!H', checksum(ip)) + ip[12:] + content


def seconds_left(number):
    with open('/proc/net/nf_conntrack') as file:
        for line in file:
            if re.search(f' src={re.escape(address(1, number))} ', line):
                return int(line.split()[4])
    return None


devices = [tun('tun0', '10.1.255.254/16'), tun('tun1', '10.2.255.254/16')]
track_forwarded()
told = []
for number, story in enumerate(json.load(sys.stdin), 1):
    for reply, protocol, content in story:
        os.write(devices[reply], packet(number, reply, protocol, bytes.fromhex(content)))
    told.append(seconds_left(number))
json.dump(told, sys.stdout)
