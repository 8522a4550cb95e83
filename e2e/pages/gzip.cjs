// zlib, as Node.js has it.
//
//	node gzip.cjs encode <file>...   writes <file>.<setting>.gz, by each of the settings below
//	node gzip.cjs sum <file.gz>...   prints the SHA-256 of each file's text, in order
'use strict';
const { createHash } = require('node:crypto');
const { createGzip, gunzipSync, gzipSync, constants: z } = require('node:zlib');
const { readFileSync, writeFileSync } = require('node:fs');

const settings = {
	1: { level: 1 },
	6: { level: 6 },
	9: { level: 9 },
	fixed: { strategy: z.Z_FIXED },
	huffman: { strategy: z.Z_HUFFMAN_ONLY },
	runs: { strategy: z.Z_RLE },
	'small-window': { windowBits: 9, memLevel: 1 },
	'small-blocks': { level: 9, memLevel: 1 },
};

// flushed compresses text and flushes again and again, in each of zlib's ways.
async function flushed(text) {
	const gzip = createGzip();
	const out = [];
	gzip.on('data', (data) => out.push(data));
	const done = new Promise((resolve) => gzip.on('end', resolve));
	const ways = [z.Z_SYNC_FLUSH, z.Z_FULL_FLUSH, z.Z_PARTIAL_FLUSH, z.Z_BLOCK];
	for (let at = 0, i = 0; at < text.length; at += 5000, i++) {
		gzip.write(text.subarray(at, at + 5000));
		await new Promise((resolve) => gzip.flush(ways[i % ways.length], resolve));
	}
	gzip.end();
	await done;
	return Buffer.concat(out);
}

async function main(task, files) {
	for (const file of files) {
		const data = readFileSync(file);
		if (task === 'sum') {
			console.log(createHash('sha256').update(gunzipSync(data)).digest('hex'));
			continue;
		}
		for (const [name, options] of Object.entries(settings)) {
			writeFileSync(`${file}.${name}.gz`, gzipSync(data, options));
		}
		writeFileSync(`${file}.flushed.gz`, await flushed(data));
	}
}

main(process.argv[2], process.argv.slice(3));
