// Counters as Prometheus reads them: text over HTTP, from memory, one small page.
import { createServer, type Server } from 'node:http';

import { CliError, UsageError } from './errors.js';

export interface Metric {
  name: string;
  type: 'counter' | 'gauge';
  help: string;
  samples: readonly { labels: Readonly<Record<string, string | number>>; value: number }[];
}

const escapeLabel = (text: string): string => text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');

/** The text exposition format, version 0.0.4. */
export function exposition(metrics: readonly Metric[]): string {
  return metrics
    .map(({ name, type, help, samples }) => {
      const lines = samples.map(({ labels, value }) => {
        const list = Object.entries(labels).map(([label, text]) => `${label}="${escapeLabel(String(text))}"`);
        return `${name}${list.length > 0 ? `{${list.join(',')}}` : ''} ${value}`;
      });
      return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join('\n')}\n`;
    })
    .join('');
}

/** HOST:PORT; a host is asked for, so that nobody opens a port to the world by leaving it out. */
export function parseAddress(text: string, option: string): { host: string; port: number } {
  const match = /^(\[[0-9a-f:.]+\]|[^:\s]+):(\d+)$/i.exec(text);
  const port = Number(match?.[2]);
  if (match === null || port > 65535) throw new UsageError(`${option}: '${text}' is not HOST:PORT, such as 127.0.0.1:9464`);
  return { host: (match[1] ?? '').replace(/^\[|\]$/g, ''), port };
}

/** Serves GET /metrics. Port 0 takes a free one. @returns the address in use, and what closes it */
export async function serveMetrics(address: { host: string; port: number }, read: () => readonly Metric[]): Promise<{ url: string; close: () => void }> {
  const server: Server = createServer((request, response) => {
    if (request.method !== 'GET' || new URL(request.url ?? '/', 'http://localhost').pathname !== '/metrics') {
      response.writeHead(404, { 'content-type': 'text/plain' }).end('there is GET /metrics\n');
      return;
    }
    response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' }).end(exposition(read()));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(new CliError('metrics', `--metrics: ${error.message}; choose another address`)));
    server.listen(address.port, address.host, resolve);
  });
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
