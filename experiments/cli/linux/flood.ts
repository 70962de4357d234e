// A web server behind the box, asked through it, while a flood of UDP comes the same way: with the flood
// denied before it reaches the box, the box carries what it is for.
import { dpdkProgram, labProgram } from '../../../native/loader.js';
import { NativeSession } from '../../../native/session.js';
import type { Reply } from '../box.js';
import { CliError, exitCodes } from '../errors.js';
import { missingPrograms, Spaces } from './spaces.js';
import { askWeb, WebServer, webPrograms, type WebAnswer } from './web.js';

export interface FloodOptions {
  fileBytes: number;
  connections: number;
  seconds: number;
  /** Of the flood, packets a second. */
  rate: number;
  /** Of the box; nginx, wrk and the flood share the others. */
  cpu: number;
}

export const modes = ['idle', 'flooded', 'guarded'] as const;
export type FloodMode = (typeof modes)[number];

export interface FloodTrial extends WebAnswer {
  mode: FloodMode;
  /** UDP packets that were sent, that the guard dropped, and that the box carried or missed. */
  flood: number;
  denied: number;
  boxReceived: number;
  boxMissed: number;
}

export const missingForFlood = (): string[] =>
  missingPrograms({ ip: 'iproute2', ethtool: 'ethtool', ...webPrograms });

const server = '10.82.0.2';
const floodNetwork = '10.9.0.0';

interface FloodReply {
  ready?: object;
  error?: { code: string; message: string };
  summary?: { sent: number };
}

export class FloodPath {
  private readonly spaces = new Spaces('reframer-flood-', ['client', 'box', 'server'] as const);
  private readonly web: WebServer;

  constructor(private readonly options: FloodOptions) {
    try {
      const { spaces } = this;
      spaces.link('box', 'b0', 'client', 'c0');
      spaces.link('box', 'b1', 'server', 's0');
      spaces.ip('client', 'address', 'add', '10.82.0.1/24', 'dev', 'c0');
      spaces.ip('server', 'address', 'add', `${server}/24`, 'dev', 's0');
      // The flood is for ports of the server that nobody listens to.
      spaces.ip('client', 'route', 'add', `${floodNetwork}/16`, 'via', server);
      spaces.ip('server', 'route', 'add', 'local', `${floodNetwork}/16`, 'dev', 'lo');
      this.web = new WebServer(spaces.inside('server'), server, options.fileBytes, 1);
    } catch (error) {
      this.spaces.close();
      throw error;
    }
  }

  async trial(mode: FloodMode): Promise<FloodTrial> {
    const box = await this.openBox(mode === 'guarded' ? ['udp'] : []);
    let flood: NativeSession<FloodReply> | undefined;
    try {
      const ask = (seconds: number): Promise<WebAnswer> =>
        askWeb(this.spaces.inside('client'), server, this.options.connections, seconds);
      await ask(1); // connections and ARP are outside of what is measured
      if (mode !== 'idle') flood = await this.openFlood();
      const answer = await ask(this.options.seconds);
      const sent = flood === undefined ? 0 : ((await flood.ask({ do: 'stop' })).summary?.sent ?? 0);
      const { summary } = await box.ask({ do: 'stop' });
      const [guard] = summary?.guards ?? [];
      const [lane] = summary?.lanes ?? [];
      return {
        mode,
        ...answer,
        flood: sent,
        denied: guard?.deniedProtocol ?? 0,
        boxReceived: lane?.received ?? 0,
        boxMissed: summary?.missed ?? 0,
      };
    } finally {
      flood?.end();
      box.end();
    }
  }

  private async openBox(deny: readonly string[]): Promise<NativeSession<Reply>> {
    const eal = [
      ...['--no-huge', '-m', '256', '--no-shconf', '--no-telemetry', '--log-level=error'],
      ...['-l', String(this.options.cpu), `--file-prefix=reframer-flood-${process.pid}`],
      ...['--vdev=net_af_xdp0,iface=b0', '--vdev=net_af_xdp1,iface=b1'],
    ];
    const box = await NativeSession.open<Reply>(
      dpdkProgram,
      'forward',
      {
        eal,
        in: 'net_af_xdp0',
        out: 'net_af_xdp1',
        bothWays: true,
        reframe: false,
        user: 'root',
        guards: [{ interface: 'b0', deny, claim: [] }],
      },
      this.spaces.inside('box'),
    );
    if (box.first.ready !== undefined) return box;
    const { code = 'flood-box', message = 'did not get ready' } = box.first.error ?? {};
    throw new CliError(
      code,
      `the box: ${message}`,
      code === 'not-supported' ? exitCodes.notSupported : exitCodes.failed,
    );
  }

  private async openFlood(): Promise<NativeSession<FloodReply>> {
    const flood = await NativeSession.open<FloodReply>(
      labProgram,
      'linux-flood',
      { network: floodNetwork, packetsPerSecond: this.options.rate },
      this.spaces.inside('client'),
    );
    if (flood.first.ready !== undefined) return flood;
    throw new CliError('flood', flood.first.error?.message ?? 'the flood did not begin');
  }

  errors(): string {
    return this.web.errors();
  }

  close(): void {
    this.web.close();
    this.spaces.close();
  }
}
