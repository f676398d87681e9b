// The server's API.

export class ApiError extends Error {}

async function refuse(answer) {
  let message = `${answer.status} ${answer.statusText}`;
  try {
    message = (await answer.json()).error.message;
  } catch {
    // The status says it.
  }
  throw new ApiError(message);
}

async function reach(path, options) {
  try {
    return await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError("The server cannot be reached: is it still running?");
  }
}

export async function get(path, signal) {
  const answer = await reach(path, { signal });
  return answer.ok ? answer.json() : refuse(answer);
}

function posted(body, signal) {
  return {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    signal,
  };
}

export async function post(path, body, signal) {
  const answer = await reach(path, posted(body, signal));
  return answer.ok ? answer.json() : refuse(answer);
}

async function next(reader) {
  try {
    return await reader.read();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError("The connection broke in the middle of the answer.");
  }
}

/** The objects of a stream of server-sent events, one by one, until `[DONE]`. */
export async function* stream(path, body, signal) {
  const answer = await reach(path, posted({ ...body, stream: true }, signal));
  if (!answer.ok) await refuse(answer);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let waiting = "";
  try {
    for (;;) {
      const { value, done } = await next(reader);
      if (done) throw new ApiError("The server ended the answer early.");
      const events = (waiting + value).split("\n\n");
      waiting = events.pop();
      for (const event of events) {
        if (event === "data: [DONE]") return;
        const told = JSON.parse(event.slice("data: ".length));
        if (told.error) throw new ApiError(told.error.message);
        yield told;
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/**
 * What a model writes, piece by piece: `{text, tokens, finish, usage}`.
 * messages: a conversation; where the model was not taught any, their text is continued.
 */
export async function* write(model, messages, options, signal) {
  const usage = { stream_options: { include_usage: true } };
  const talks = model.converses && options.asChat !== false;
  const { asChat, logprobs, ...rest } = options;
  const asked = { model: model.id, ...usage, ...rest };
  if (talks) {
    if (logprobs) Object.assign(asked, { logprobs: true, top_logprobs: 5 });
    for await (const told of stream("/v1/chat/completions", { ...asked, messages }, signal)) {
      const [choice] = told.choices;
      yield {
        text: choice?.delta.content ?? "",
        tokens: choice?.logprobs?.content ?? [],
        finish: choice?.finish_reason,
        usage: told.usage,
      };
    }
    return;
  }
  if (logprobs) asked.logprobs = 5;
  const prompt = messages.map((message) => message.content).join("");
  for await (const told of stream("/v1/completions", { ...asked, prompt }, signal)) {
    const [choice] = told.choices;
    yield {
      text: choice?.text ?? "",
      tokens: choice?.logprobs ? alike(choice.logprobs) : [],
      finish: choice?.finish_reason,
      usage: told.usage,
    };
  }
}

/** Tokens of a completion in the form that those of a conversation have. */
function alike({ tokens, token_logprobs: logprobs, top_logprobs: tops, bytes }) {
  return tokens.map((token, i) => ({
    token,
    logprob: logprobs[i],
    bytes: bytes[i],
    // An object gives names that are whole numbers first: the likeliest come first by their value.
    top_logprobs: Object.entries(tops[i])
      .map(([other, logprob]) => ({ token: other, logprob }))
      .sort((a, b) => b.logprob - a.logprob),
  }));
}
