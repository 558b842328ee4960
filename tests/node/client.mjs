// What Transformers.js makes of a directory: reads one request as JSON from standard input, writes the answer as JSON.
//
//   {"folder": "/of/directories", "name": "gpt", "dtype": "q8", "count": 24, "ids": [[5, 3, 8]]}   ids of greedy texts
//   {"folder": "/of/directories", "name": "gpt", "dtype": "q8", "logits": [[5, 3, 8]]}             their logits
//   {"folder": "/of/directories", "name": "gpt", "dtype": "q8", "count": 24, "texts": ["Once"]}    greedy texts
//   {"folder": "/of/directories", "name": "gpt", "encode": ["Once"], "decode": [[5, 3]]}           ids, and texts
import { AutoModelForCausalLM, AutoTokenizer, Tensor, env, pipeline } from '@huggingface/transformers';
import { readFileSync } from 'node:fs';

const request = JSON.parse(readFileSync(0, 'utf8'));
env.allowRemoteModels = false;
env.localModelPath = request.folder;
env.useFSCache = false;
env.fetch = () => {
  throw new Error('the network was asked for a file');
};
const loading = { dtype: request.dtype, session_options: { intraOpNumThreads: 1 } };
const greedy = { max_new_tokens: request.count, do_sample: false };

const row = (values) => new Tensor('int64', BigInt64Array.from(values, BigInt), [1, values.length]);
const given = (ids) => ({ input_ids: row(ids), attention_mask: row(ids.map(() => 1)) });

async function continued() {
  const model = await AutoModelForCausalLM.from_pretrained(request.name, loading);
  const found = [];
  for (const ids of request.ids) {
    const [text] = (await model.generate({ ...given(ids), ...greedy })).tolist();
    found.push(text.map(Number));
  }
  return found;
}

async function predicted() {
  const model = await AutoModelForCausalLM.from_pretrained(request.name, loading);
  const found = [];
  for (const ids of request.logits) {
    const { logits } = await model(given(ids));
    found.push(logits.tolist()[0]);
  }
  return found;
}

async function written() {
  const generate = await pipeline('text-generation', request.name, loading);
  const found = [];
  for (const text of request.texts) {
    const [{ generated_text }] = await generate(text, greedy);
    found.push(generated_text);
  }
  return found;
}

async function encoded() {
  const tokenizer = await AutoTokenizer.from_pretrained(request.name);
  const ids = request.encode.map((text) => tokenizer.encode(text));
  return { ids, texts: request.decode.map((given) => tokenizer.decode(given)) };
}

const answers = { ids: continued, logits: predicted, texts: written, encode: encoded };
const asked = Object.keys(answers).find((word) => word in request);
console.log(JSON.stringify(await answers[asked]()));
