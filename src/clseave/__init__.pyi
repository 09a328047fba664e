from clseave.inference.entailment import Entailment as Entailment
from clseave.inference.entailment import Prediction as Prediction
