"""Two TUN devices in a network namespace of one's own, and the kernel's connection tracking between."""
import fcntl, os, struct, subprocess

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


def track_forwarded():
    """Once the devices are there."""
    setting('ipv4/ip_forward', '1')
    setting('netfilter/nf_conntrack_checksum', '0')
    for name in ('all', 'tun0', 'tun1'):
        setting(f'ipv4/conf/{name}/rp_filter', '0')
    rules = 'table ip t { chain f { type filter hook forward priority 0; ct state established accept; }; }'
    subprocess.run(('nft', '-f', '-'), input=rules, text=True, check=True)
