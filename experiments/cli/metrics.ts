// Counters as Prometheus reads them: text over HTTP, from memory, one small page.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';

import { CliError, UsageError } from './errors.js';

export interface MetricSample {
  labels: Readonly<Record<string, string | number>>;
  value: number;
  /** Of a histogram: which of its series. */
  series?: 'bucket' | 'sum' | 'count';
}

export interface Metric {
  name: string;
  type: 'counter' | 'gauge' | 'histogram';
  help: string;
  samples: readonly MetricSample[];
}

const escapeLabel = (text: string): string =>
  text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');

/** The text exposition format, version 0.0.4. */
export function exposition(metrics: readonly Metric[]): string {
  return metrics
    .map(({ name, type, help, samples }) => {
      const lines = samples.map(({ labels, value, series }) => {
        const list = Object.entries(labels).map(
          ([label, text]) => `${label}="${escapeLabel(String(text))}"`,
        );
        const full = series === undefined ? name : `${name}_${series}`;
        return `${full}${list.length > 0 ? `{${list.join(',')}}` : ''} ${value}`;
      });
      return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join('\n')}\n`;
    })
    .join('');
}

/** HOST:PORT; a host is asked for, so that nobody opens a port to the world by leaving it out. */
export function parseAddress(text: string, option: string): { host: string; port: number } {
  const match = /^(\[[0-9a-f:.]+\]|[^:\s]+):(\d+)$/i.exec(text);
  const port = Number(match?.[2]);
  if (match === null || port > 65535)
    throw new UsageError(`${option}: '${text}' is not HOST:PORT, such as 127.0.0.1:9464`);
  return { host: (match[1] ?? '').replace(/^\[|\]$/g, ''), port };
}

/** What is asked for, by the path alone. Never parsed as an address: what strangers send may be none. */
const pathOf = (url: string | undefined): string => (url ?? '').split(/[?#]/, 1)[0] ?? '';

function answer(request: IncomingMessage, response: ServerResponse, read: () => string): void {
  const plain = { 'content-type': 'text/plain; charset=utf-8' };
  try {
    if (request.method !== 'GET' || pathOf(request.url) !== '/metrics') {
      response.writeHead(404, plain).end('there is GET /metrics\n');
      return;
    }
    const page = read();
    response
      .writeHead(200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' })
      .end(page);
  } catch {
    // Whatever it was, it ends this request and nothing else.
    if (!response.headersSent) response.writeHead(400, plain);
    response.end();
  }
}

// Between the first byte of a request and the end of its headers, ms; Node's default is a minute.
const headersTimeout = 10_000;

/**
 * Serves GET /metrics. Port 0 takes a free one.
 * @param read the page; made once an interval, not once a request
 * @returns the address in use, and what closes it
 */
export async function serveMetrics(
  address: { host: string; port: number },
  read: () => string,
): Promise<{ url: string; close: () => void }> {
  const server: Server = createServer(
    { headersTimeout, requestTimeout: headersTimeout },
    (request, response) => answer(request, response, read),
  );
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) =>
      reject(new CliError('metrics', `--metrics: ${error.message}; choose another address`)),
    );
    server.listen(address.port, address.host, resolve);
  });
  // No descriptor left for one more connection, say: the others go on.
  server.on('error', () => undefined);
  server.unref();
  const bound = server.address();
  const port = typeof bound === 'object' && bound !== null ? bound.port : address.port;
  const host = address.host.includes(':') ? `[${address.host}]` : address.host;
  return {
    url: `http://${host}:${port}/metrics`,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
