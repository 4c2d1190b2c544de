// Orders and stock: workers that keep files, ask the cache, and pack reports by a helper program.
const cluster = require('cluster'), http = require('http'), fs = require('fs'), net = require('net');
const { execFile } = require('child_process');
const DATA = '/srv/api/data/';

if (cluster.isPrimary) {
    for (let n = 0; n < 2; n++) cluster.fork();
    cluster.on('exit', () => cluster.fork());
    process.on('SIGTERM', () => process.exit(0));
    return;
}

function cached(command, done) {
    const socket = net.connect(11211, 'cache', () => socket.write(command));
    socket.setTimeout(1000, () => socket.destroy());
    socket.once('data', data => { socket.end(); done(String(data)); });
    socket.on('error', () => done(''));
}

// Values that carry a function are made one again: the hole of more than one library.
const MARK = '_$$ND_FUNC$$_';
function deserialize(text) {
    return JSON.parse(text, (_, value) => typeof value === 'string' && value.startsWith(MARK) ? eval('(' + value.slice(MARK.length) + ')') : value);
}

const routes = {
    status: (_, answer) => answer({ version: fs.readFileSync('/etc/office-release', 'utf8').trim() }),
    order: (what, answer) => fs.appendFile(DATA + 'orders.jsonl', JSON.stringify({ what, at: Date.now() }) + '\n', () =>
        cached(`set stock-${what} 0 60 1\r\n1\r\n`, () => answer({ ordered: what }))),
    stock: (what, answer) => cached(`get stock-${what}\r\n`, found => answer({ what, found: found.startsWith('VALUE') })),
    report: (_, answer) => execFile('gzip', ['-k', '-f', DATA + 'orders.jsonl'], error => answer({ packed: !error })),
    // What the second version does besides.
    invoice: (what, answer) => fs.mkdir(DATA + 'invoices', { recursive: true }, () =>
        fs.writeFile(`${DATA}invoices/${what}.txt`, 'invoice', () => answer({ invoice: what }))),
};

http.createServer((request, response) => {
    const [, , kind, what] = request.url.split('/');
    const answer = value => { response.setHeader('content-type', 'application/json'); response.end(JSON.stringify(value)); };
    let body = '';
    request.on('data', part => body += part);
    request.on('end', () => {
        try {
            if (kind === 'import') return answer({ imported: Object.keys(deserialize(body)).length });
            (routes[kind] || routes.status)(String(what || '1').replace(/\W/g, ''), answer);
        } catch (error) {
            response.statusCode = 500;
            response.end(String(error));
        }
    });
}).listen(3000);
