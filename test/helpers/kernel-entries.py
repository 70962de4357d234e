"""What the kernel's connection tracking keeps of packets of any protocol. Run in a network namespace of
its own (unshare -n): packets go in by one TUN device and out by another, past a rule that tracks.

Input, a JSON document: stories, each a list of [reply, protocol, what follows IP as hex]; story i is
between 10.1.x.y and 10.2.x.y with x.y = i + 1. Output: for each story the seconds that its entry has
left after the last packet, or null where there is none."""
import fcntl, json, os, re, socket, struct, subprocess, sys

TUNSETIFF, TUN_WITHOUT_HEADER = 0x400454CA, 0x1001


def tun(name, address):
    device = os.open('/dev/net/tun', os.O_RDWR)
    fcntl.ioctl(device, TUNSETIFF, struct.pack('16sH', name.encode(), TUN_WITHOUT_HEADER))
    for words in (('address', 'add', address, 'dev', name), ('link', 'set', name, 'up')):
        subprocess.run(('ip', *words), check=True)
    return device


def setting(path, value):
    with open(f'/proc/sys/net/{path}', 'w') as file:
        file.write(value)


def checksum(data):
    total = sum(struct.unpack(f'!{len(data) // 2}H', data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


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
setting('ipv4/ip_forward', '1')
setting('netfilter/nf_conntrack_checksum', '0')
for name in ('all', 'tun0', 'tun1'):
    setting(f'ipv4/conf/{name}/rp_filter', '0')
rules = 'table ip t { chain f { type filter hook forward priority 0; ct state established accept; }; }'
subprocess.run(('nft', '-f', '-'), input=rules, text=True, check=True)
told = []
for number, story in enumerate(json.load(sys.stdin), 1):
    for reply, protocol, content in story:
        os.write(devices[reply], packet(number, reply, protocol, bytes.fromhex(content)))
    told.append(seconds_left(number))
json.dump(told, sys.stdout)
