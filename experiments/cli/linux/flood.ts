// A web server behind the box, asked through it, while a flood of UDP comes the same way: with the flood
// denied before it reaches the box, the box carries what it is for.
import { labProgram } from '../../../native/loader.js';
import { NativeSession } from '../../../native/session.js';
import type { Reply } from '../box.js';
import { CliError } from '../errors.js';
import { openBox } from './box.js';
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
      this.web = new WebServer({
        inside: spaces.inside('server'),
        address: server,
        files: { file: options.fileBytes },
      });
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
        askWeb(this.spaces.inside('client'), `${server}/file`, this.options.connections, seconds);
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

  private openBox(deny: readonly string[]): Promise<NativeSession<Reply>> {
    return openBox(
      {
        inside: this.spaces.inside('box'),
        name: 'flood',
        driver: 'af_xdp',
        in: 'b0',
        out: 'b1',
        cpu: this.options.cpu,
      },
      { bothWays: true, reframe: false, guards: [{ interface: 'b0', deny, claim: [] }] },
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
