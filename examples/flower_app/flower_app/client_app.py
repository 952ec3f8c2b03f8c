"""At each data owner: an ordinary Flower ClientApp, and one mod."""
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from flower_app import task
from mpc.federated.flower import SecureAggregationMod


def protect(message: Message, context: Context, call_next):
    """The mod replaces the weights in the reply by a protected contribution; nothing else of the training leaves."""
    accept = ("shares", "paillier", "plain") if context.run_config["accept-plain"] else ("shares", "paillier")
    return SecureAggregationMod(accept)(message, context, call_next)


app = ClientApp(mods=[protect])


def model_of(message: Message):
    model = task.make_model()
    model.load_state_dict(message.content["arrays"].to_torch_state_dict())
    return model


@app.train()
def train(message: Message, context: Context) -> Message:
    model, run = model_of(message), context.run_config
    count, loss = task.train(model, context.node_config["partition-id"], run["local-epochs"], run["lr"], run["max-norm"])
    metrics = MetricRecord({"num-examples": count, "loss": loss})
    return Message(RecordDict({"arrays": ArrayRecord(model.state_dict()), "metrics": metrics}), reply_to=message)


@app.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    count, right = task.accuracy(model_of(message), context.node_config["partition-id"])
    return Message(RecordDict({"metrics": MetricRecord({"num-examples": count, "accuracy": right})}), reply_to=message)
