"""An objective made of functions, for tests of the training loop."""

from clseave.training.objective import Objective


class MadeUp(Objective):
    """Calls `batches`, `loss` and `validate` as they are given. `epoch` is the last one whose batches it gave."""

    def __init__(self, name, model, batches, loss, validate=None, *, max_grad_norm=None, loss_name="train_loss"):
        self.name, self.model, self.epoch = name, model, 0
        self.max_grad_norm, self.loss_name = max_grad_norm, loss_name
        self._batches, self._loss, self._validate = batches, loss, validate

    def batches(self, epoch):
        self.epoch = epoch
        return self._batches(epoch)

    def loss(self, batch):
        return self._loss(batch)

    def validate(self):
        return self._validate() if self._validate else {}
