"""What Python's clients see of a running Worker: one client a run, its findings as one JSON object.

    python clients.py CLIENT ADDRESS TOKEN
"""

import io
import json
import sys


def outcome(work):
    """What a call gave, or the class and status of the error that it raised."""
    try:
        return work()
    except Exception as error:  # noqa: BLE001: every class is a finding
        status = getattr(error, "status_code", None) or getattr(error, "code", None)
        return {"error": type(error).__name__, "status": status, "message": str(error)}


def openai(address, token):
    from openai import OpenAI

    client = OpenAI(api_key=token, base_url=f"{address}/v1", max_retries=0)
    hello = [{"role": "user", "content": "Hello"}]

    def chat(model="openai/gpt-5-mini", client=client):
        return client.chat.completions.create(model=model, messages=hello).choices[0].message.content

    def stream():
        pieces = client.chat.completions.create(model="openai/gpt-5-mini", messages=hello, stream=True)
        return "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices)

    def transcription():
        sound = ("hello.wav", io.BytesIO(b"RIFF" + bytes(2000)))
        return client.audio.transcriptions.create(model="openai/whisper-1", file=sound).text

    stranger = OpenAI(api_key="not-the-token", base_url=f"{address}/v1", max_retries=0)
    return {
        "chat": outcome(chat),
        "stream": outcome(stream),
        "models": outcome(lambda: [model.id for model in client.models.list()]),
        "embedding": outcome(
            lambda: len(client.embeddings.create(model="openai/text-embedding-3-small", input="Hello").data[0].embedding)
        ),
        "transcription": outcome(transcription),
        "response": outcome(lambda: client.responses.create(model="openai/gpt-5-mini", input="Hello").output_text),
        "wrong token": outcome(lambda: chat(client=stranger)),
        "no such model": outcome(lambda: chat(model="nobody/nothing")),
        "exhausted": outcome(lambda: chat(model="groq/llama-3.1-8b-instant")),
    }


def anthropic(address, token):
    from anthropic import Anthropic

    client = Anthropic(api_key=token, base_url=f"{address}/anthropic", max_retries=0)
    hello = [{"role": "user", "content": "Hello"}]
    ask = {"model": "claude-haiku-4-5", "max_tokens": 64, "messages": hello}

    def stream():
        with client.messages.stream(**ask) as pieces:
            return "".join(pieces.text_stream)

    stranger = Anthropic(api_key="not-the-token", base_url=f"{address}/anthropic", max_retries=0)
    return {
        "message": outcome(lambda: client.messages.create(**ask).content[0].text),
        "stream": outcome(stream),
        "count": outcome(lambda: client.messages.count_tokens(model=ask["model"], messages=hello).input_tokens),
        "models": outcome(lambda: [model.id for model in client.models.list()]),
        "wrong token": outcome(lambda: stranger.messages.create(**ask)),
    }


def genai(address, token):
    from google import genai
    from google.genai import types

    def client_of(token):
        return genai.Client(api_key=token, http_options=types.HttpOptions(base_url=address))

    client, stranger = client_of(token), client_of("not-the-token")
    ask = {"model": "gemini-2.5-flash", "contents": "Hello"}

    def file():
        sent = client.files.upload(file=io.BytesIO(b"Hello"), config={"mime_type": "text/plain"})
        known = client.files.get(name=sent.name).name == sent.name
        client.files.delete(name=sent.name)
        return known

    return {
        "content": outcome(lambda: client.models.generate_content(**ask).text),
        "stream": outcome(lambda: "".join(piece.text or "" for piece in client.models.generate_content_stream(**ask))),
        "count": outcome(lambda: client.models.count_tokens(**ask).total_tokens),
        "models": outcome(lambda: [model.name for model in client.models.list()]),
        "file": outcome(file),
        "wrong token": outcome(lambda: stranger.models.generate_content(**ask)),
    }


def litellm(address, token):
    import litellm as library

    library.suppress_debug_info = True
    hello = [{"role": "user", "content": "Hello"}]

    def ask(model, base, **more):
        return library.completion(model=model, api_base=base, api_key=token, messages=hello, num_retries=0, **more)

    def text(model, base):
        return ask(model, base).choices[0].message.content

    def stream():
        pieces = ask("openai/openai/gpt-5-mini", f"{address}/v1", stream=True)
        return "".join(piece.choices[0].delta.content or "" for piece in pieces)

    return {
        "openai": outcome(lambda: text("openai/openai/gpt-5-mini", f"{address}/v1")),
        "stream": outcome(stream),
        "anthropic": outcome(lambda: text("anthropic/claude-haiku-4-5", f"{address}/anthropic")),
        "gemini": outcome(lambda: text("gemini/gemini-2.5-flash", f"{address}/api/google-ai-studio")),
        "exhausted": outcome(lambda: text("openai/groq/llama-3.1-8b-instant", f"{address}/v1")),
    }


if __name__ == "__main__":
    client, address, token = sys.argv[1:]
    print(json.dumps({"openai": openai, "anthropic": anthropic, "genai": genai, "litellm": litellm}[client](address, token)))
